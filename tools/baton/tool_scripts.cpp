#include "tool_scripts.h"

namespace baton::program {
namespace {

struct Embedded {
  std::string_view name;
  std::string_view text;
};

constexpr Embedded kParts[] = {
    {"loader",
#include "loader.inc"
    },
    {"benchmark",
#include "benchmark.inc"
    },
    {"catalogue",
#include "catalogue.inc"
    },
    {"complete",
#include "complete.inc"
    },
    {"diagnose",
#include "diagnose.inc"
    },
    {"editor",
#include "editor.inc"
    },
    {"gil_report",
#include "gil_report.inc"
    },
    {"highlight",
#include "highlight.inc"
    },
    {"inspect",
#include "inspect.inc"
    },
    {"lexer",
#include "lexer.inc"
    },
    {"mistakes",
#include "mistakes.inc"
    },
    {"profiling",
#include "profiling.inc"
    },
    {"project",
#include "project.inc"
    },
    {"prompt",
#include "prompt.inc"
    },
    {"reference",
#include "reference.inc"
    },
    {"similar",
#include "similar.inc"
    },
    {"testing",
#include "testing.inc"
    },
    // Not run here: read for the texts that their comments hold (catalogue.script).
    {"async_combinators",
#include "stdlib/async_combinators.inc"
    },
    {"gil_trace",
#include "stdlib/gil_trace.inc"
    },
    {"net_serve",
#include "stdlib/net_serve.inc"
    },
    {"overview",
#include "overview.inc"
    },
    {"process_pool",
#include "stdlib/process_pool.inc"
    },
    {"profile",
#include "stdlib/profile.inc"
    },
    {"thread_family",
#include "stdlib/thread_family.inc"
    },
};

constexpr const char* kUseKey = "baton.program.use";

// source(name): the text of a part, or nil.
int tool_source(NativeCall& call) {
  const std::string_view wanted = call.check_text(1);
  for (const Embedded& part : kParts) {
    if (part.name == wanted) return call.result_string(part.text);
  }
  return call.result(Value());
}

constexpr NativeInfo kSource = {"source", "source(name)", "The text of a part of the program.", tool_source};

// Pushes the function `use`, made by the loader at the first call.
Status push_use(ThreadState& thread) {
  const Value known = native::get_field(thread, thread.shared.registry, kUseKey);
  vm::push(thread, known);
  if (!known.is_nil()) return Status::kOk;
  --thread.current->top;
  if (host::load(thread, kParts[0].text, "=(baton) loader", "t") != Status::kOk) return Status::kError;
  Table* natives = table::make(thread.heap());
  vm::push(thread, native::make(thread, &kSource));
  vm::push(thread, Value::of(natives));
  native::set_field(thread, natives, "source", native::make(thread, &kSource));
  native::set_field(thread, natives, "terminal", Value::of(open_terminal(thread)));
  native::set_field(thread, natives, "shell", Value::of(open_shell(thread)));
  int results = 0;
  const Status status = vm::protected_call(thread, 2, 1, Value(), &results);
  if (status != Status::kOk) return status;
  native::set_field(thread, thread.shared.registry, kUseKey, thread.current->top[-1]);
  return Status::kOk;
}

}  // namespace

Status push_tool(ThreadState& thread, std::string_view name) {
  if (push_use(thread) != Status::kOk) return Status::kError;
  vm::push(thread, Value::of(string::make(thread.heap(), name)));
  int results = 0;
  return vm::protected_call(thread, 1, 1, Value(), &results);
}

Status call_tool(ThreadState& thread, std::string_view part, std::string_view function, int arguments, int wanted,
                 const Value& handler) {
  if (push_tool(thread, part) != Status::kOk) {
    thread.current->top -= arguments;
    return Status::kError;
  }
  Coroutine* co = thread.current;
  const Value called = native::get_field(thread, (--co->top)->table(), function);
  vm::push(thread, Value());
  for (Value* slot = co->top - 1; slot > co->top - 1 - arguments; --slot) *slot = slot[-1];
  co->top[-1 - arguments] = called;
  int results = 0;
  return vm::protected_call(thread, arguments, wanted, handler, &results);
}

}  // namespace baton::program
