#include "os_date.h"

#include <climits>
#include <cstring>
#include <ctime>
#include <string>

#include "vm/operations.h"
#include "vm/string_builder.h"

namespace baton::stdlib {
namespace {

// --- tables of a date's fields -----------------------------------------------------------------------------------------------

// A date table's fields: where they are in `tm`, what is added to the C value, the default (-1: the field must be there).
struct Field {
  const char* name;
  int tm::*member;
  int offset;
  int otherwise;
};

const Field kFields[] = {
    {"year", &tm::tm_year, 1900, -1}, {"month", &tm::tm_mon, 1, -1}, {"day", &tm::tm_mday, 0, -1},
    {"hour", &tm::tm_hour, 0, 12},    {"min", &tm::tm_min, 0, 0},    {"sec", &tm::tm_sec, 0, 0},
};

void set_fields(NativeCall& call, Table* t, const tm& date) {
  for (const Field& field : kFields) {
    native::set_field(call.thread(), t, field.name, Value::from(std::int64_t{date.*field.member} + field.offset));
  }
  native::set_field(call.thread(), t, "yday", Value::from(std::int64_t{date.tm_yday} + 1));
  native::set_field(call.thread(), t, "wday", Value::from(std::int64_t{date.tm_wday} + 1));
  if (date.tm_isdst >= 0) native::set_field(call.thread(), t, "isdst", Value::boolean(date.tm_isdst != 0));
}

int read_field(NativeCall& call, const Field& field) {
  const Value given = vm::index_field(call.thread(), call.arg(1), field.name);
  std::int64_t number = 0;
  if (!vm::to_integer(given, number)) {
    if (!given.is_nil()) call.error("field '%s' is not an integer", field.name);
    if (field.otherwise < 0) call.error("field '%s' missing in date table", field.name);
    return field.otherwise;
  }
  bool fits = number >= 0 ? number - field.offset <= INT_MAX : number >= INT_MIN + field.offset;
  if (!fits) call.error("field '%s' is out-of-bound", field.name);
  return static_cast<int>(number - field.offset);
}

// --- formats -------------------------------------------------------------------------------------------------------------

// Length of the conversion that starts behind a '%', 0 if there is none of this name. E and O modify certain others.
std::size_t conversion_length(std::string_view rest) {
  if (rest.empty() || rest[0] == '\0') return 0;
  if (std::strchr("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%", rest[0]) != nullptr) return 1;
  if (rest.size() < 2 || rest[1] == '\0') return 0;
  if (rest[0] == 'E' && std::strchr("cCxXyY", rest[1]) != nullptr) return 2;
  if (rest[0] == 'O' && std::strchr("deHImMSuUVwWy", rest[1]) != nullptr) return 2;
  return 0;
}

void format_date(NativeCall& call, StringBuilder& result, std::string_view format, const tm& date) {
  constexpr std::size_t kConversionBytes = 250;
  for (std::size_t i = 0; i < format.size(); i++) {
    if (format[i] != '%') {
      result.append(format[i]);
      continue;
    }
    std::size_t length = conversion_length(format.substr(i + 1));
    if (length == 0) {
      std::string message = "invalid conversion specifier '" + std::string(format.substr(i)) + "'";
      call.argument_error(1, message.c_str());
    }
    char conversion[4] = {'%', format[i + 1], length == 2 ? format[i + 2] : '\0', '\0'};
    result.commit(std::strftime(result.reserve(kConversionBytes), kConversionBytes, conversion, &date));
    i += length;
  }
}

}  // namespace

int os_date(NativeCall& call) {
  std::string_view format = call.optional_text(1, "%c");
  std::time_t moment = call.none_or_nil(2) ? std::time(nullptr) : static_cast<std::time_t>(call.check_integer(2));
  bool universal = format.starts_with('!');
  if (universal) format.remove_prefix(1);
  tm date = {};
  bool known = (universal ? gmtime_r(&moment, &date) : localtime_r(&moment, &date)) != nullptr;
  if (!known) call.error("date result cannot be represented in this installation");
  if (format == "*t") {
    Table* fields = table::make(call.heap(), 0, 9);
    set_fields(call, fields, date);
    return call.result(Value::of(fields));
  }
  StringBuilder result(call.thread());
  format_date(call, result, format, date);
  return call.result(Value::of(result.finish()));
}

int os_difftime(NativeCall& call) {
  return call.result(Value::from(std::difftime(static_cast<std::time_t>(call.check_integer(1)), static_cast<std::time_t>(call.check_integer(2)))));
}

int os_time(NativeCall& call) {
  if (call.none_or_nil(1)) return call.result(Value::from(static_cast<std::int64_t>(std::time(nullptr))));
  Table* fields = call.check_table(1);
  tm date = {};
  for (const Field& field : kFields) date.*field.member = read_field(call, field);
  const Value summer = vm::index_field(call.thread(), call.arg(1), "isdst");
  date.tm_isdst = summer.is_nil() ? -1 : summer.is_truthy() ? 1 : 0;
  date.tm_wday = -1;  // stays so if the C library refuses: -1 is also a valid time
  std::time_t moment = std::mktime(&date);
  if (moment == -1 && date.tm_wday == -1) call.error("time result cannot be represented in this installation");
  set_fields(call, fields, date);
  return call.result(Value::from(static_cast<std::int64_t>(moment)));
}

}  // namespace baton::stdlib
