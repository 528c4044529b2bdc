// The operating system library (manual 6.9). Dates are in os_date.cpp.
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <sys/wait.h>
#include <unistd.h>

#include "all_modules.h"
#include "host/blocking.h"
#include "host/runtime.h"
#include "os_date.h"
#include "process_result.h"
#include "vm/native.h"

namespace baton::stdlib {

int process_result(NativeCall& call, int status, int error_number) {
  if (status == -1 && error_number != 0) return call.failure(error_number, "");
  const char* how = "exit";
  int code = status;
  if (WIFEXITED(status)) {
    code = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    how = "signal";
    code = WTERMSIG(status);
  }
  bool fine = code == 0 && how[0] == 'e';
  call.push(fine ? Value::boolean(true) : Value());
  call.push_string(how);
  call.push(Value::from(std::int64_t{code}));
  return 3;
}

namespace {

int os_clock(NativeCall& call) {
  return call.result(Value::from(static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC)));
}

int os_execute(NativeCall& call) {
  const char* command = call.none_or_nil(1) ? nullptr : call.check_string(1)->data();
  int status, error_number;
  {
    host::Blocking pause(call.thread(), "os.execute");
    errno = 0;
    status = std::system(command);
    error_number = errno;
  }
  if (command == nullptr) return call.result(Value::boolean(status != 0));
  return process_result(call, status, error_number);
}

int os_exit(NativeCall& call) {
  int code = EXIT_SUCCESS;
  if (call.arg(1).is_boolean()) code = call.truthy(1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else code = static_cast<int>(call.optional_integer(1, EXIT_SUCCESS));
  if (call.truthy(2)) host::close_state(call.thread());
  if (call.shared().before_exit != nullptr) call.shared().before_exit(call.thread());
  std::exit(code);
}

int os_getenv(NativeCall& call) {
  const char* text = std::getenv(call.check_string(1)->data());
  return text != nullptr ? call.result_string(text) : call.result(Value());
}

int os_remove(NativeCall& call) {
  const char* path = call.check_string(1)->data();
  if (std::remove(path) == 0) return call.result(Value::boolean(true));
  return call.failure(errno, path);
}

int os_rename(NativeCall& call) {
  if (std::rename(call.check_string(1)->data(), call.check_string(2)->data()) == 0) return call.result(Value::boolean(true));
  return call.failure(errno, "");
}

int os_setlocale(NativeCall& call) {
  static const int kCategories[] = {LC_ALL, LC_COLLATE, LC_CTYPE, LC_MONETARY, LC_NUMERIC, LC_TIME};
  static const char* const kNames[] = {"all", "collate", "ctype", "monetary", "numeric", "time", nullptr};
  const char* locale = call.none_or_nil(1) ? nullptr : call.check_string(1)->data();
  const char* result = std::setlocale(kCategories[call.check_option(2, "all", kNames)], locale);
  return result != nullptr ? call.result_string(result) : call.result(Value());
}

int os_tmpname(NativeCall& call) {
  char name[] = "/tmp/lua_XXXXXX";
  int descriptor = mkstemp(name);
  if (descriptor == -1) call.error("unable to generate a unique filename");
  close(descriptor);
  return call.result_string(name);
}

const NativeInfo kFunctions[] = {
    {"clock", "os.clock()", "Seconds of processor time that the program has used.", os_clock},
    {"date", "os.date([format [, time]])",
     "Date and time as text, by strftime's conversions, or (\"*t\") as a table; \"!\" in front: universal time.", os_date},
    {"difftime", "os.difftime(t2, t1)", "Seconds from t1 to t2.", os_difftime},
    {"execute", "os.execute([command])",
     "Runs a shell command and waits for it. Returns true or nil, \"exit\" or \"signal\", and the number; without a command "
     "whether there is a shell. Other native threads run meanwhile.",
     os_execute},
    {"exit", "os.exit([code [, close]])",
     "Ends the program with a code, true (success) or false. With close, to-be-closed variables and finalizers run before.",
     os_exit},
    {"getenv", "os.getenv(varname)", "The value of an environment variable, or nil.", os_getenv},
    {"remove", "os.remove(filename)", "Deletes a file or empty folder; true, or nil, message, code.", os_remove},
    {"rename", "os.rename(oldname, newname)", "Renames a file; true, or nil, message, code.", os_rename},
    {"setlocale", "os.setlocale(locale [, category])", "Sets the locale of the process and returns its name; nil if it cannot.",
     os_setlocale},
    {"time", "os.time([table])", "The present time in seconds, or that of a table with year, month, day, whose fields are normalised.",
     os_time},
    {"tmpname", "os.tmpname()", "Makes an empty temporary file and returns its name.", os_tmpname},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_os(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 16);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
