#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace std::chrono_literals;
using namespace baton::literals;

TEST_CASE("an interrupt from another thread stops what runs, uncatchably") {
  baton::VM vm;
  std::atomic<bool> started{false};
  vm.bind("started", [&] { started = true; });
  for (const char* source :
       {"started() for i = 1, math.maxinteger do end", "started() for _ in function() return 1 end do end", "started() repeat until false",
        "local n = 0 local function f() if n < 30 then n = n + 1 pcall(f) pcall(f) n = n - 1 end end started() f()",
        "local n, mt = 0, {} local t = setmetatable({}, mt) mt.__concat = function() if n < 30 then n = n + 1 local x = t .. t x = t .. t n = n - 1 "
        "end end started() local x = t .. t",
        "local n, mt = 0, {} local t = setmetatable({}, mt) mt.__close = function() if n < 30 then n = n + 1 do local x <close> = t end "
        "do local x <close> = t end n = n - 1 end end started() local x <close> = t",
        "started() while true do end", "started() while true do pcall(function() while true do end end) end",
        "started() while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local function f() started() while true do end end while true do coroutine.wrap(f)() end",
        "local t <close> = setmetatable({}, {__close = function() while true do end end}) started() while true do end",
        "setmetatable({}, {__gc = function() started() while true do end end}) collectgarbage()",
        "local async = require 'async' async.scope(function(s) s:spawn(function() started() while true do pcall(async.sleep, 1) end end) end)",
        "require('async').shield(function() started() require('async').sleep(1000) end)",
        "started() require('async').sleep(1000)", "local t = require('thread').spawn(function() started() while true do end end) t:join()"}) {
    INFO(source);
    started = false;
    std::thread killer([&] {
      while (!started) std::this_thread::sleep_for(100us);
      std::this_thread::sleep_for(1ms);
      vm.interrupt("stopped by user");
    });
    try {
      vm.run(source);
      FAIL("not stopped");
    } catch (const baton::Interrupted& e) {
      CHECK(std::string(e.what()) == "stopped by user");
      CHECK(e.reason() == baton::StopReason::interrupt);
    }
    killer.join();
    CHECK(vm.run<int>("local n = 0 for i = 1, 1000 do n = n + 1 end return n") == 1000);
  }
  vm.interrupt();  // nothing runs: nothing happens
  CHECK(vm.eval<int>("1") == 1);
}

TEST_CASE("instructions, wall and processor time are limited") {
  baton::VM vm;
  {
    baton::Budget budget{vm, {.instructions = 100'000, .wall = 20s}};
    CHECK(vm.run<int>("local n = 0 for i = 1, 1000 do n = n + 1 end return n") == 1000);
    CHECK(budget.instructions() > 1000);
    CHECK(budget.instructions() < 10'000);
    CHECK_FALSE(budget.exceeded());
    CHECK_THROWS_AS(vm.run("while true do end"), baton::Interrupted);
    CHECK(budget.exceeded());
    CHECK(budget.reason() == baton::StopReason::instructions);
    CHECK_THROWS_AS(vm.run("return 1"), baton::Interrupted);  // as long as the budget lasts
  }
  for (const char* loop : {"for i = 1, math.maxinteger do end", "local n = 0 for i = 1.5, math.huge do n = n + i end",
                           "for _ in function() return 1 end do end", "repeat until false"}) {
    baton::Budget budget{vm, {.instructions = 10'000, .wall = 20s}};
    CHECK_THROWS_AS(vm.run(loop), baton::Interrupted);
    CHECK(budget.reason() == baton::StopReason::instructions);
    CHECK(budget.instructions() < 10'100);
  }
  CHECK(vm.eval<int>("2") == 2);
  {
    baton::Budget budget{vm, {.wall = 5ms}};
    try {
      vm.run("while true do end");
      FAIL("not stopped");
    } catch (const baton::Interrupted& e) {
      CHECK(e.reason() == baton::StopReason::wall_time);
      CHECK(std::string(e.what()) == "time limit exceeded");
    }
  }
  {
    baton::Budget budget{vm, {.wall = 60s, .cpu = 5ms}};
    try {
      vm.run("while true do end");
      FAIL("not stopped");
    } catch (const baton::Interrupted& e) {
      CHECK(e.reason() == baton::StopReason::cpu_time);
    }
    CHECK(budget.cpu() >= 5ms);
  }
  CHECK(vm.run<int>("local n = 0 for i = 1, 1e5 do n = n + 1 end return n") == 100000);
}

TEST_CASE("instructions are counted at the limit and one above") {
  baton::VM vm;
  const baton::Function f = vm.load("local n = 0 for i = 1, 100 do n = n + i end return n");
  std::int64_t used;
  {
    baton::Budget budget{vm, {.instructions = 1'000'000}};
    CHECK(f.call<int>() == 5050);
    used = budget.instructions();
  }
  {
    baton::Budget budget{vm, {.instructions = used + 1}};
    CHECK(f.call<int>() == 5050);
  }
  {
    baton::Budget budget{vm, {.instructions = used / 2}};
    CHECK_THROWS_AS(f.call<int>(), baton::Interrupted);
  }
}

TEST_CASE("memory is limited, and the script may go on") {
  baton::Config config;
  config.memory_limit = 8_MiB;
  baton::VM vm{config};
  CHECK_THROWS_WITH(vm.run("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"), Catch::Contains("not enough memory"));
  CHECK(vm.memory_used() <= 8_MiB);
  CHECK(vm.eval<std::string>("select(2, pcall(string.rep, 'x', 1 << 28))") == "not enough memory");
  CHECK(vm.run<int>("local n = 0 for i = 1, 1000 do local t = {i} n = n + t[1] end return n") == 500500);
  vm.collect();
  {
    baton::Budget budget{vm, {.memory = 1_MiB}};
    CHECK_THROWS_AS(vm.run("x = ('y'):rep(3 << 20)"), baton::Error);
  }
  CHECK_NOTHROW(vm.run("x = ('y'):rep(3 << 20)"));
}

TEST_CASE("stack depth is limited") {
  baton::Config config;
  config.stack_limit = 5000;
  baton::VM vm{config};
  CHECK(vm.run<bool>("local depth = 0 local function f() depth = depth + 1 return 1 + f() end "
                     "local ok, e = pcall(f) n = depth return not ok and e:find('stack overflow') ~= nil"));
  CHECK(vm.get<int>("n") < 10'000);
  CHECK(vm.get<int>("n") > 100);
  CHECK(vm.run<int>("local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(100)") == 100);
}

TEST_CASE("what is not granted is nowhere") {
  baton::Config config;
  config.libs = baton::libs::safe;
  baton::VM vm{config};
  for (const char* name : {"io", "os.execute", "os.getenv", "os.exit", "os.remove", "os.rename", "os.tmpname", "os.setlocale", "dofile", "loadfile",
                           "debug", "string.dump", "package.loadlib", "package.searchpath", "package.path", "package.cpath"}) {
    INFO(name);
    CHECK_FALSE(vm.try_run<bool>(std::string("return ") + name + " ~= nil").value_or(false));
  }
  for (const char* name : {"io", "debug", "fs", "net", "process", "thread", "async", "gil", "baton.fs", "baton.process", "os.path"}) {
    INFO(name);
    CHECK_FALSE(vm.try_run(std::string("return require '") + name + "'").ok());
  }
  CHECK(vm.eval<std::string>("select(2, load('\\27Lua'))") == "attempt to load a binary chunk (not granted)");
  CHECK(vm.eval<int>("load('return 5')()") == 5);
  CHECK(vm.eval<bool>("os.time() > 0 and os.clock() >= 0"));
  CHECK_FALSE(vm.try_run("collectgarbage('stop')").ok());
  CHECK(vm.eval<bool>("collectgarbage('count') > 0 and collectgarbage() == 0"));
  config.libs = baton::libs::safe | baton::libs::async;
  baton::VM with_async{config};
  CHECK(with_async.eval<int>("(function() require('async').sleep(0) return 5 end)()") == 5);
  CHECK(with_async.eval<bool>("debug == nil and io == nil and package.loaded.debug == nil"));
  CHECK_FALSE(with_async.try_run("require 'process'").ok());
  CHECK_FALSE(with_async.try_run("require 'fs'").ok());
  config.libs = baton::libs::none;
  baton::VM bare{config};
  CHECK(bare.run<int>("return 1 + 1") == 2);
  CHECK(bare.eval<bool>("print == nil and string == nil and require == nil"));
}

TEST_CASE("each library grants what it names and works without the others") {
  struct Granted {
    baton::libs libs;
    const char* module;
    const char* use;  // answers true
  };
  using baton::libs;
  const Granted kGranted[] = {
      {libs::async, "async", "local a = require 'async' local l = a.lock() local t = a.spawn(function() a.sleep(0) return 2 end) "
                             "return t:await() == 2 and a.to_thread(function() return 3 end) == 3 and a.timeout(5, function() return 4 end) == 4 "
                             "and a.scope(function(s) s:spawn(function() end) return true end) and l:acquire() ~= nil"},
      {libs::thread, "thread", "local t = require 'thread' local p = t.pool() local n = p:submit(function() return 2 end):await() p:close() "
                               "return n == 2 and t.spawn(function() return 3 end):join() == 3 and t.queue(1):put(1) ~= nil "
                               "and t.scope(function(s) s:spawn(function() end) return true end)"},
      {libs::process, "process", "local p = require 'process' return p.cpu_count() >= 1 and p.run{'true'}.ok"},
      {libs::fs, "fs", "return require 'fs'.exists('/')"},
      {libs::net, "net", "local n = require 'net' local l = n.listen('127.0.0.1', 0) local port = l.port l:close() return port > 0"},
      {libs::gil, "gil", "local g = require 'gil' local t, message = g.trace('/tmp/never-written.json') "
                         "return g.switch_interval() > 0 and t == nil and message:find('not granted') ~= nil"},
      {libs::time, "time", "return require 'time'.monotonic() > 0"},
  };
  for (const Granted& granted : kGranted) {
    baton::Config config;
    config.libs = libs::safe | granted.libs;
    baton::VM vm{config};
    INFO(granted.module);
    CHECK(vm.run<bool>(granted.use));
    for (const Granted& other : kGranted) {
      INFO(other.module);
      const bool is_own = other.module == granted.module;
      CHECK(vm.try_run(std::string("return require '") + other.module + "'").ok() == is_own);
      CHECK(vm.try_run(std::string("return require 'baton.") + other.module + "'").ok() == is_own);
      CHECK(vm.eval<bool>(std::string("package.loaded['baton.") + other.module + "'] ~= nil") == is_own);
    }
    CHECK(vm.eval<bool>("debug == nil and io == nil and os.execute == nil and package.preload['baton.profile'] == nil"));
    CHECK_FALSE(vm.try_run("return require 'profile'").ok());
  }
}

// Everything that a script can reach from its environment is a table it may write to, a function that was granted, or plain data.
TEST_CASE("no writable table is shared once the host has frozen its own") {
  baton::Config config;
  config.libs = baton::libs::safe;
  baton::VM vm{config};
  const baton::Table globals = vm.globals();
  const baton::Function load = vm["load"];
  globals.freeze();
  baton::Table(vm.eval("getmetatable('')")).freeze();
  for (const char* attempt : {"x = 1", "string.rep = nil", "string.len = 5", "getmetatable('').__index = {}", "table.concat = 1", "_G.print = nil",
                              "rawset(_G, 'print', 1)", "rawset(string, 'x', 1)", "package.loaded.string.rep = 1", "package.preload.evil = 1"}) {
    INFO(attempt);
    CHECK_FALSE(vm.try_run(attempt).ok());
  }
  // each script gets an environment of its own
  baton::Table environment = vm.table();
  baton::Table metatable = vm.table();
  metatable["__index"] = globals;
  environment.set_metatable(metatable);
  const auto script = load.call<baton::Function>("x = 5 return x + #string.rep('a', 3)", "=script", "t", environment);
  CHECK(script.call<int>() == 8);
  CHECK(vm["x"].is_nil());
}

TEST_CASE("what is stopped tells where it was") {
  baton::VM vm;
  baton::Budget budget{vm, {.instructions = 100'000}};
  const auto result = vm.try_run("local function spin()\n while true do end\nend\nlocal function outer()\n spin()\nend\nouter()", "@spin.script");
  REQUIRE(!result.ok());
  CHECK(result.error().traceback().find("spin.script:2: in upvalue 'spin'") != std::string::npos);
  CHECK(result.error().traceback().find("spin.script:5: in local 'outer'") != std::string::npos);
}
