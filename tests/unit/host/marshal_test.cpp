#include <catch2/catch.hpp>

#include <functional>
#include <random>
#include <string>

#include "host/marshal.h"
#include "host/runtime.h"
#include "host/script.h"

using namespace baton;

namespace {

void inside(host::Runtime& runtime, std::function<void(ThreadState&)> body) {
  const Status status = runtime.run(
      [](ThreadState& thread, void* context) { (*static_cast<std::function<void(ThreadState&)>*>(context))(thread); }, &body);
  if (status != Status::kOk) INFO(host::pending_report(runtime.main_thread()));
  REQUIRE(status == Status::kOk);
}

// Calls a chunk with the last `arguments` values; its results are on top. Returns: their number.
int call(ThreadState& thread, std::string_view text, int arguments) {
  REQUIRE(host::load(thread, text, "=test", "t") == Status::kOk);
  const Value function = *(thread.current->top - 1);
  for (int i = 0; i < arguments; ++i) thread.current->top[-1 - i] = thread.current->top[-2 - i];
  thread.current->top[-1 - arguments] = function;
  int results = 0;
  const Status status = vm::protected_call(thread, arguments, kMultipleResults, Value(), &results);
  if (status != Status::kOk) FAIL(host::pending_report(thread));
  return results;
}

// What `text` returns, as a message; or the refusal.
std::string encoded(ThreadState& thread, std::string_view text, std::string* refusal = nullptr) {
  const int count = call(thread, text, 0);
  host::Message message;
  std::string why;
  const bool fine = host::encode(thread, thread.current->top - count, count, {"value"}, message, why);
  thread.current->top -= count;
  if (refusal != nullptr) *refusal = why;
  else CHECK(fine);
  return fine ? std::string(message.bytes.view()) : std::string();
}

// Sends what `made` returns to another runtime and gives it to `looked_at` there, which returns a text.
std::string sent(std::string_view made, std::string_view looked_at) {
  std::string bytes, result;
  host::Runtime from({}), to({});
  inside(from, [&](ThreadState& thread) { bytes = encoded(thread, made); });
  inside(to, [&](ThreadState& thread) {
    std::vector<int> descriptors;
    std::string problem;
    const int count = host::decode_bytes(thread, bytes, descriptors, host::GlobalsPolicy::kDefine, problem);
    INFO(problem);
    REQUIRE(count >= 0);
    REQUIRE(call(thread, looked_at, count) == 1);
    result = vm::to_string(thread, *--thread.current->top)->view();
  });
  return result;
}

}  // namespace

TEST_CASE("marshal: plain values keep their kinds") {
  CHECK(sent("return nil, true, false, 'text', 1, 1.0",
             "local a, b, c, d, e, f = ... return a == nil and b == true and c == false and d == 'text' and e | 0 == 1 and "
             "f == 1.0 and 1 // f == 1.0 and f .. '' == '1.0' and e .. '' == '1'") == "true");
  CHECK(sent("return 127, 128, -1, -128, -129, 32767, -32769, 0x7fffffff, -0x80000001, 0x7fffffffffffffff, 1 << 63",
             "local s, t = '', {...} for i = 1, #t do s = s .. t[i] .. ' ' end return s") ==
        "127 128 -1 -128 -129 32767 -32769 2147483647 -2147483649 9223372036854775807 -9223372036854775808 ");
  CHECK(sent("return 0/0, -0.0, 1/0, 5e-324", "local n, z, i, d = ... return (n ~= n) and 1/z == -1/0 and i == 1/0 and d == 5e-324") == "true");
  CHECK(sent("return ''", "return ... == ''") == "true");
  CHECK(sent("return 'x', 'x', 'y'", "local a, b, c = ... return a .. b .. c") == "xxy");
}

TEST_CASE("marshal: long strings of all sizes around the limits") {
  for (const int size : {40, 41, 63, 64, 255, 256, 70000}) {
    const std::string text = "local s = 'a' while #s < " + std::to_string(size) + " do s = s .. 'b' end return s, s";
    CHECK(sent(text, "local a, b = ... return a == b and #a") == std::to_string(size));
  }
}

TEST_CASE("marshal: tables with holes, pairs, shared parts and cycles") {
  CHECK(sent("return {1, nil, 3, x = {y = 1}, [2.5] = 'k', [true] = 'b'}",
             "local t = ... return t[1] == 1 and t[2] == nil and t[3] == 3 and t.x.y == 1 and t[2.5] == 'k' and t[true] == 'b'") == "true");
  CHECK(sent("local a = {} a.self = a local b = {a, a} return b, a",
             "local b, a = ... return b[1] == a and b[2] == a and a.self == a") == "true");
  CHECK(sent("local k = {} return {[k] = k}, k", "local t, k = ... return t[k] == k") == "true");
  CHECK(sent("local t = {} for i = 1, 1000 do t[i] = i / 2 end return t", "local s = 0 for i = 1, 1000 do s = s + (...)[i] end return s") == "250250.0");
  CHECK(sent("local t for i = 1, 200000 do t = {t} end return t", "local n, t = 0, ... while t do n, t = n + 1, t[1] end return n") == "200000");
}

TEST_CASE("marshal: functions with upvalues, shared ones and themselves") {
  CHECK(sent("local n = 41 return function(x) return n + x end", "return (...)(1)") == "42");
  CHECK(sent("local n = 0 return function() n = n + 1 return n end, function() return n end",
             "local up, get = ... up() up() return get()") == "2");
  CHECK(sent("local function fact(n) return n < 2 and 1 or n * fact(n - 1) end return fact", "return (...)(10)") == "3628800");
  CHECK(sent("function helper(x) return x * factor end factor = 3 return function(x) return helper(x) end", "return (...)(5)") == "15");
  CHECK(sent("function even(n) return n == 0 or odd(n - 1) end function odd(n) return n ~= 0 and even(n - 1) end return even",
             "return (...)(10)") == "true");
  CHECK(sent("local t = {} function t.f() return t end return t", "local t = ... return t.f() == t") == "true");
  CHECK(sent("return function(...) local a, b = ... return function() return a, b end end", "local x, y = (...)(1, 2)() return x + y") == "3");
}

TEST_CASE("marshal: a refusal says where the value stands") {
  host::Runtime runtime({});
  inside(runtime, [](ThreadState& thread) {
    const Value light = Value::light(&thread);
    native::set_field(thread, thread.shared.globals, "light", light);
    const auto refusal = [&](std::string_view text) {
      std::string why;
      encoded(thread, text, &why);
      return why;
    };
    CHECK(refusal("return light") == "value 1 is a light userdata");
    CHECK(refusal("return 1, {a = {light}}") == "value 2.a[1] is a light userdata");
    CHECK(refusal("return {['a b'] = light}") == "value 1[\"a b\"] is a light userdata");
    CHECK(refusal("return {[light] = 1}") == "a key of value 1 is a light userdata");
    CHECK(refusal("local cfg = {sock = light} return function() return cfg end") == "value 1, upvalue 'cfg'.sock is a light userdata");
    CHECK(refusal("cfg = {sock = light} return function() return cfg end") == "global 'cfg'.sock is a light userdata");
    CHECK(refusal("cfg = nil local function f() return light end return {f}") == "global 'light' is a light userdata");
  });
}

TEST_CASE("marshal: any bytes are refused or understood") {
  host::Runtime runtime({});
  inside(runtime, [](ThreadState& thread) {
    const std::string good = encoded(thread,
        "local up = {1, 2.5, 'text', x = {'text', -7, 300, 70000}} up.me = up local f = function() return up, other end "
        "other = 5 return up, f, {1.5, 2.5}, 'a string that is longer than forty bytes, so that it is a long one'");
    std::mt19937 random(20260101);
    std::vector<int> descriptors;
    int understood = 0, refused = 0;
    struct Attempt {
      std::string_view bytes;
      std::vector<int>& descriptors;
      int count;
      std::string problem;
    };
    const auto attempt = [&](std::string_view bytes) {
      Attempt request{bytes, descriptors, -1, ""};
      const auto height = thread.current->top - thread.current->stack;
      const Status status = vm::protected_run(thread, [](ThreadState& state, void* context) {
        auto& asked = *static_cast<Attempt*>(context);
        asked.count = host::decode_bytes(state, asked.bytes, asked.descriptors, host::GlobalsPolicy::kKeep, asked.problem);
      }, &request);
      (request.count >= 0 ? understood : refused) += 1;
      if (status == Status::kOk) CHECK((request.count >= 0) == request.problem.empty());
      else CHECK(host::pending_report(thread) == "attempt to call a nil value");  // there is no require here
      thread.current->top = thread.current->stack + height;
    };
    for (std::size_t size = 0; size < good.size(); ++size) attempt(std::string_view(good).substr(0, size));
    CHECK(understood == 0);
    for (int round = 0; round < 20000; ++round) {
      std::string bytes = good;
      for (unsigned changes = random() % 4 + 1; changes > 0; --changes) bytes[random() % bytes.size()] = static_cast<char>(random());
      attempt(bytes);
    }
    for (int round = 0; round < 20000; ++round) {
      std::string bytes(random() % 64, '\0');
      for (char& c : bytes) c = static_cast<char>(random() % 3 == 0 ? random() : random() % 24);
      attempt(bytes);
    }
    CHECK(refused > 1000);
    CHECK(understood > 1000);
    attempt(good);
    thread.heap().collect();
    thread.heap().verify();
  });
}

TEST_CASE("marshal: announced sizes cannot exceed the message") {
  host::Runtime runtime({});
  inside(runtime, [](ThreadState& thread) {
    // count 1, then tables that each announce 50 slots, in a message of 120 bytes
    std::string bytes = "\x01";
    for (int i = 0; i < 39; ++i) bytes += std::string("\x0B\x32\x00", 3);
    const std::size_t before = thread.heap().bytes_used();
    std::vector<int> descriptors;
    std::string problem;
    CHECK(host::decode_bytes(thread, bytes, descriptors, host::GlobalsPolicy::kKeep, problem) == -1);
    CHECK(thread.heap().bytes_used() < before + 16384);
  });
}
