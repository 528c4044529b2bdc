// Figures of the format of messages: 20,000 records of strings, tables, small integers and floats, as tools/bench/process
// makes them for python3's pickle. One line each: name, value, unit.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "host/marshal.h"
#include "host/runtime.h"
#include "host/script.h"

using namespace baton;

namespace {

constexpr const char* kRecords =
    "local list = {} for i = 0, 19999 do list[i + 1] = {id = i, name = 'record number ' .. i, kind = 'kind ' .. i % 10, "
    "score = i / 3, tags = {'red', 'green', i % 100}, place = {x = i * 0.5, y = -i * 0.25, n = i % 7}} end return list";

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

void measure(ThreadState& thread, void*) {
  if (host::load(thread, kRecords, "=records", "t") != Status::kOk) return;
  vm::call(thread, 0, 1);
  double encoding = 1e9, decoding = 1e9;
  std::size_t size = 0;
  for (int round = 0; round < 15; ++round) {
    host::Message message;
    std::string problem;
    auto began = std::chrono::steady_clock::now();
    if (!host::encode(thread, thread.current->top - 1, 1, {"value"}, message, problem)) std::puts(problem.c_str());
    encoding = std::min(encoding, milliseconds(began));
    size = message.bytes.size();
    began = std::chrono::steady_clock::now();
    if (host::decode(thread, message, host::GlobalsPolicy::kKeep, problem) != 1) std::puts(problem.c_str());
    decoding = std::min(decoding, milliseconds(began));
    --thread.current->top;
    thread.heap().collect();
  }
  std::printf("encoding 20,000 records\t%.3f\tms\n", encoding);
  std::printf("decoding 20,000 records\t%.3f\tms\n", decoding);
  std::printf("their size\t%.3f\tMB\n", static_cast<double>(size) / 1e6);
}

}  // namespace

int main() {
  host::Runtime runtime({});
  return runtime.run(measure, nullptr) == Status::kOk ? 0 : 1;
}
