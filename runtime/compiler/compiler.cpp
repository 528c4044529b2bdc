#include "compiler/compiler.h"

#include "base/arena.h"
#include "base/chunk_name.h"
#include "compiler/generator.h"
#include "compiler/verifier.h"
#include "syntax/parser.h"
#include "value/string.h"

namespace baton::compiler {
namespace {

void call_poll(void* context) { (*static_cast<const std::function<void()>*>(context))(); }

}  // namespace

Prototype* compile(Heap& heap, std::string_view text, std::string_view chunk_name, const CompileOptions& options) {
  Arena arena;
  syntax::ParseOptions parse_options;
  parse_options.hash_seed = heap.seed();
  if (options.poll) {
    parse_options.poll.function = call_poll;
    parse_options.poll.context = const_cast<std::function<void()>*>(&options.poll);
  }
  syntax::ParseResult tree;
  try {
    tree = syntax::parse(text, chunk_name, arena, parse_options);
  } catch (const syntax::SyntaxError& error) {
    throw CompileError{error.message()};
  }
  const ChunkName chunk{string::make(heap, chunk_name), chunk_display_name(chunk_name)};
  Prototype* prototype = Generator(heap, chunk).function(*tree.main);
#ifndef NDEBUG
  const VerifierResult verdict = verify(*prototype);
  BATON_CHECK(verdict.is_valid, verdict.problem);
#endif
  return prototype;
}

}  // namespace baton::compiler
