// A thousand VMs are made, used in many ways and closed; then LeakSanitizer looks for what is left. Fibers' stacks and the
// heap's pages, which it cannot see into, are gone by then, so whatever only they referred to counts as leaked.
//
// usage: host_leaks [deliberate]    `deliberate`: one allocation per VM is lost, which must be found; leak_check.py runs both.
#include <baton/baton.hpp>
#include <sanitizer/lsan_interface.h>

#include <cstdio>
#include <thread>

using namespace std::chrono_literals;

namespace {

struct Thing {
  explicit Thing(std::string text) : text_(std::move(text)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void use_values(baton::VM& vm, int i, bool is_deliberate) {
  vm.class_<Thing>("Thing").ctor<std::string>().method("text", &Thing::text);
  const baton::Value kept = vm.eval("{Thing('" + std::to_string(i) + "'), string.rep('x', 5000)}");
  const std::function<int(int)> f = vm.eval<std::function<int(int)>>("function(n) return n + 1 end");
  auto* lost = new std::string(100, 'l');
  vm.bind("f", [lost, f](int n) { return f(n) + static_cast<int>(lost->size()); });
  vm.run("f(1) t = setmetatable({}, {__gc = function() end}) for i = 1, 100 do t[i] = {i} end");
  (void)vm.try_run("error({})");
  (void)vm.try_run("syntax error");
  if (!is_deliberate) delete lost;
}

void use_fibers(baton::VM& vm) {
  vm.run("co = coroutine.wrap(function() local keep <close> = setmetatable({}, {__close = function() end}) coroutine.yield(1) end) co() "
         "inside = coroutine.wrap(function() table.sort({3, 2, 1}, function() coroutine.yield() end) end) inside() "
         "pcall(string.rep) pcall(string.gsub, 'abc', '%w', function() error('x') end)");
}

void use_threads(baton::VM& vm) {
  vm.run("local thread, async = require 'thread', require 'async' thread.spawn(function() return 1 end):join() async.sleep(0) "
         "forgotten = async.spawn(function() async.sleep(1000) end)");
  baton::Budget budget{vm, {.wall = 60s}};
  auto result = vm.spawn<int>(vm.eval<baton::Function>("function() return 7 end"));
  vm.poll(0ms);
  std::thread other([&vm] { vm.run("local n = 0 for i = 1, 100 do n = n + i end"); });
  other.join();
}

void cycle(int i, bool is_deliberate) {
  baton::Config config;
  if (i % 10 != 0) config.libs = baton::libs::safe;
  baton::VM vm{config};
  use_values(vm, i, is_deliberate);
  use_fibers(vm);
  if (i % 10 == 0) use_threads(vm);
  (void)vm.eval("{}");  // a handle that is given up after the last call
}

}  // namespace

int main(int argc, char**) {
  for (int i = 0; i < 1000; ++i) cycle(i, argc > 1);
  if (__lsan_do_recoverable_leak_check() != 0) return 1;
  std::puts("no leaks");
  std::fflush(stdout);
  return 0;
}
