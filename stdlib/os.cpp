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
    {"clock", "os.clock() -> number",
     "Seconds of processor time that all native threads of the program have used."
     R"lua(

print(os.clock() >= 0)  --> true)lua",
     os_clock},
    {"date", "os.date(format?: string, time?: integer) -> string|table",
     "A time (os.time's; now by default) as text by strftime's conversions, \"%c\" by default, or with \"*t\" as a "
     "table: year, month, day, hour, min, sec, wday, yday, isdst. \"!\" in front: universal time.\n"
     "Raises: \"invalid conversion specifier\" and \"date result cannot be represented in this installation\"."
     R"lua(

print(os.date("!%Y-%m-%d %H:%M", 86400))  --> 1970-01-02 00:00
print(os.date("!*t", 0).year)             --> 1970)lua",
     os_date},
    {"difftime", "os.difftime(t2: integer, t1?: integer) -> number",
     "The seconds from t1 to t2."
     R"lua(

print(os.difftime(10, 4))  --> 6.0)lua",
     os_difftime},
    {"execute", "os.execute(command?: string) -> boolean?, string, integer",
     "Runs a shell command and waits for its end. Returns true or nil, then \"exit\" or \"signal\", then the number; "
     "without a command whether there is a shell.\n"
     "Waits: blocks the native thread, tasks included; the lock is free. process.shell parks the task instead."
     R"lua(

print(os.execute "exit 3")  --> nil	exit	3)lua",
     os_execute},
    {"exit", "os.exit(code?: integer|boolean, close?: boolean)",
     "Ends the program with an exit status: true (0, the default), false (1) or a number. With close, to-be-closed variables "
     "and finalizers run before."
     R"lua(

os.exit(true))lua",
     os_exit},
    {"getenv", "os.getenv(name: string) -> string?",
     "The value of an environment variable, or nil."
     R"lua(

print(os.getenv "NO_SUCH_VARIABLE")  --> nil)lua",
     os_getenv},
    {"remove", "os.remove(filename: string) -> boolean?",
     "Deletes a file or an empty folder.\n"
     "Fails: nil, \"name: reason\", number."
     R"lua(

print(os.remove "missing.txt")  --> nil	missing.txt: No such file or directory	2)lua",
     os_remove},
    {"rename", "os.rename(oldname: string, newname: string) -> boolean?",
     "Renames or moves a file or folder; an existing file of the new name is replaced.\n"
     "Fails: nil, \"name: reason\", number."
     R"lua(

io.open("old.txt", "w"):close()
print(os.rename("old.txt", "new.txt"))  --> true)lua",
     os_rename},
    {"setlocale", "os.setlocale(locale?: string, category?: string) -> string?",
     "Sets the locale of the whole process and returns its name, nil if that cannot be; nil asks for the present one. "
     "category: \"all\" (the default), \"collate\", \"ctype\", \"monetary\", \"numeric\", \"time\"."
     R"lua(

print(os.setlocale "C")  --> C)lua",
     os_setlocale},
    {"time", "os.time(date?: table) -> integer",
     "The present time in seconds since 1970, or the local time of a table with year, month, day and maybe hour (12), min, "
     "sec, isdst; its fields are brought into their ranges.\n"
     "Raises: \"field 'day' missing in date table\" and the like."
     R"lua(

print(os.time{year = 2024, month = 1, day = 2} - os.time{year = 2024, month = 1, day = 1})  --> 86400)lua",
     os_time},
    {"tmpname", "os.tmpname() -> string",
     "Makes an empty temporary file and returns its name.\n"
     "Raises: \"unable to generate a unique filename\"."
     R"lua(

local name = os.tmpname()
print(os.remove(name))  --> true)lua",
     os_tmpname},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

Table* open_os(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 16);
  native::add_functions(thread, library, kFunctions);
  return library;
}

}  // namespace baton::stdlib
