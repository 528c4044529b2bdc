#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <map>
#include <thread>
#include <stdexcept>

using namespace baton::literals;

struct Point {
  int x = 0, y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

template <>
struct baton::convert<Point> {
  static constexpr const char* name = "point";
  static baton::Value to_script(baton::VM& vm, const Point& p) {
    baton::Table t = vm.table();
    t["x"] = p.x;
    t["y"] = p.y;
    return t;
  }
  static std::optional<Point> from_script(const baton::Value& v) {
    if (!v.is_table()) return std::nullopt;
    const baton::Table t(v);
    const auto x = t.get<std::optional<int>>("x"), y = t.get<std::optional<int>>("y");
    if (!x || !y) return std::nullopt;
    return Point{*x, *y};
  }
};

TEST_CASE("numbers keep their kind and are range checked") {
  baton::VM vm;
  CHECK(vm.eval<int>("1 + 1") == 2);
  CHECK(vm.eval<double>("1 + 1") == 2.0);
  CHECK(vm.eval<int>("4.0") == 4);
  CHECK(vm.eval<std::string>("math.type(3.0)") == "float");
  CHECK_THROWS_WITH(vm.eval<int>("4.5"), "number has no integer representation");
  CHECK_THROWS_WITH(vm.eval<std::int8_t>("128"), "number out of range");
  CHECK(vm.eval<std::int8_t>("127") == 127);
  CHECK(vm.eval<std::uint64_t>("math.maxinteger") == 9223372036854775807u);
  CHECK_THROWS_AS(vm.eval<unsigned>("-1"), baton::TypeError);
  CHECK_THROWS_WITH(vm.eval<int>("'1'"), "number expected, got string");
  vm["n"] = std::int64_t{5};
  vm["f"] = 5.0;
  vm["big"] = std::uint64_t{1} << 63;
  CHECK(vm.eval<std::string>("math.type(n) .. math.type(f) .. math.type(big)") == "integerfloatfloat");
}

TEST_CASE("texts are bytes") {
  baton::VM vm;
  vm["s"] = std::string("a\0b", 3);
  CHECK(vm.eval<int>("#s") == 3);
  CHECK(vm.eval<std::string>("s .. 'c'") == std::string("a\0bc", 4));
  vm["literal"] = "text";
  vm["view"] = std::string_view("view!").substr(0, 4);
  CHECK(vm.eval<std::string>("literal .. view") == "textview");
  const baton::String kept = vm.eval<baton::String>("('x'):rep(1000)");
  vm.collect();
  CHECK(kept.view() == std::string(1000, 'x'));
}

TEST_CASE("containers, choices and times") {
  baton::VM vm;
  vm["list"] = std::vector<std::vector<int>>{{1, 2}, {3}};
  CHECK(vm.eval<int>("list[1][2] + list[2][1]") == 5);
  CHECK(vm.eval<std::vector<std::string>>("{'a', 'b'}") == std::vector<std::string>{"a", "b"});
  vm["map"] = std::map<std::string, double>{{"pi", 3.25}};
  CHECK(vm.eval<double>("map.pi") == 3.25);
  const auto map = vm.eval<std::map<std::string, int>>("{a = 1, b = 2}");
  CHECK(map.at("a") + map.at("b") == 3);
  CHECK(vm.eval<std::optional<int>>("nil") == std::nullopt);
  CHECK(vm.eval<std::optional<int>>("3") == 3);
  using Choice = std::variant<int, double, std::string>;
  CHECK(vm.eval<Choice>("2") == Choice(2));
  CHECK(vm.eval<Choice>("2.0") == Choice(2.0));
  CHECK(vm.eval<Choice>("'2'") == Choice(std::string("2")));
  CHECK_THROWS_WITH(vm.eval<Choice>("{}"), "number or number or string expected, got table");
  vm["t"] = std::chrono::milliseconds(1500);
  CHECK(vm.eval<double>("t") == 1.5);
  CHECK(vm.eval<std::chrono::milliseconds>("0.25") == std::chrono::milliseconds(250));
  CHECK((vm.eval<std::pair<int, std::string>>("{1, 'x'}") == std::pair<int, std::string>(1, "x")));
  CHECK((vm.eval<std::array<int, 2>>("{1, 2}") == std::array<int, 2>{1, 2}));
  CHECK((vm.run<std::tuple<int, std::string, bool>>("return 1, 'two', true") == std::tuple<int, std::string, bool>(1, "two", true)));
  CHECK(vm.run<std::vector<baton::Value>>("return 1, nil, 3").size() == 3);
}

TEST_CASE("types of the host convert by a specialisation") {
  baton::VM vm;
  vm["p"] = Point{1, 2};
  CHECK(vm.eval<int>("p.x + p.y") == 3);
  CHECK(vm.eval<Point>("{x = 3, y = 4}") == Point{3, 4});
  CHECK_THROWS_WITH(vm.eval<Point>("{}"), "point expected, got table");
  vm.bind("mirror", [](Point p) { return Point{p.y, p.x}; });
  CHECK(vm.eval<int>("mirror{x = 7, y = 8}.x") == 8);
  CHECK_THROWS_WITH(vm.run("mirror(1)"), Catch::Contains("bad argument #1 to 'mirror' (point expected, got number)"));
}

TEST_CASE("tables are indexed, iterated and have metamethods") {
  baton::VM vm;
  baton::Table t = vm.table();
  t["a"] = vm.table();
  t["a"]["b"] = 5;
  CHECK(t["a"]["b"].as<int>() == 5);
  int n = t["a"]["b"];
  CHECK(n == 5);
  t[1] = "one";
  t.append("two");
  CHECK(t.size() == 2);
  CHECK(t.get<std::string>(2) == "two");
  int entries = 0;
  for (const auto& [key, value] : t) {
    CHECK_FALSE(key.is_nil());
    CHECK_FALSE(value.is_nil());
    ++entries;
  }
  CHECK(entries == 3);
  CHECK(t["absent"].is_nil());
  CHECK(t["absent"].value_or(7) == 7);
  CHECK_THROWS_AS(t["absent"]["deeper"].as<int>(), baton::TypeError);
  vm["t"] = t;
  vm.run("setmetatable(t, {__index = function(_, k) return k .. '!' end})");
  CHECK(t.get<std::string>("x") == "x!");
  CHECK(t.raw_get<baton::Value>("x").is_nil());
  CHECK(vm.eval<int>("t.a.b") == 5);
}

TEST_CASE("handles are roots and may outlive their VM") {
  baton::Value kept, other;
  {
    baton::VM vm;
    kept = vm.eval("{1, 2, 3}");
    vm.run("for i = 1, 1e5 do local t = {i} end");
    vm.collect();
    CHECK(baton::Table(kept).size() == 3);
    other = kept;
    std::thread([&] { other = baton::Value(); }).join();  // dropped without the lock
    CHECK(vm.eval<int>("1") == 1);
  }
  CHECK(kept.is_nil());
  CHECK_THROWS_AS(baton::Table(kept)["x"].as<int>(), baton::VMClosed);
}

TEST_CASE("errors carry value, message, traceback and where they happened") {
  baton::VM vm;
  try {
    vm.run("local function inner() error({code = 7}) end\ninner()", "=job");
    FAIL("no error");
  } catch (const baton::Error& e) {
    CHECK(baton::Table(e.value())["code"].as<int>() == 7);
    CHECK(e.message() == "(error object is a table value)");
    CHECK(e.traceback().find("job:1:") != std::string::npos);
    CHECK(e.task_path() == "main");
  }
  CHECK_THROWS_WITH(vm.run("error('text')", "=job"), "job:1: text");
  CHECK_THROWS_WITH(vm.run("error(setmetatable({}, {__tostring = function() return 'mine' end}))"), "mine");
  const baton::Result<int> failed = vm.try_run<int>("error('no')", "=r");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().what() == std::string("r:1: no"));
  CHECK_THROWS_AS(failed.value(), baton::Error);
  CHECK(vm.try_run<int>("return 3").value() == 3);
  CHECK_THROWS_WITH(vm.run<int>("return 'x'"), "number expected, got string");
  CHECK(vm.try_call("absent").ok() == false);
}

TEST_CASE("conversions that fail name the field, the result or the global") {
  baton::VM vm;
  const baton::Table t = vm.eval<baton::Table>("{name = 7, [3] = 'x', [2.5] = true, list = {}, [print] = 1}");
  CHECK_THROWS_WITH(t.get<int>("absent"), "field 'absent': number expected, got nil");
  CHECK_THROWS_WITH(t["absent"].as<int>(), "field 'absent': number expected, got nil");
  CHECK_THROWS_WITH(t.raw_get<std::string>("list"), "field 'list': string expected, got table");
  CHECK_THROWS_WITH(t.get<int>(3), "field [3]: number expected, got string");
  CHECK_THROWS_WITH(t.get<int>(2.5), "field [2.5]: number expected, got boolean");
  CHECK_THROWS_WITH(t.get<bool>(vm.globals().get<baton::Value>("print")), "field [function]: boolean expected, got number");
  CHECK_THROWS_WITH(t["list"]["deeper"].as<int>(), "field 'deeper': number expected, got nil");
  CHECK_THROWS_WITH(t["absent"]["deeper"].as<int>(), "attempt to index a nil value (field 'absent')");
  CHECK_THROWS_WITH(t["list"](), "field 'list': function expected, got table");
  CHECK_THROWS_WITH(vm.call("absent"), "global 'absent': function expected, got nil");
  CHECK_THROWS_WITH((vm.run<std::tuple<int, int>>("return 1, 'x'")), "result #2: number expected, got string");
  CHECK_THROWS_WITH((vm.spawn<std::tuple<int, int>>(vm.load("return 1")).get()), "result #2: number expected, got nil");
}

TEST_CASE("syntax errors say where") {
  baton::VM vm;
  try {
    vm.load("local x = 1\nlocal y = = 2", "=bad");
    FAIL("no error");
  } catch (const baton::SyntaxError& e) {
    CHECK(e.line() == 2);
    CHECK(e.column() > 0);
    CHECK(e.excerpt() == "local y = = 2");
    CHECK(std::string(e.what()).find("bad:2:") == 0);
  }
  CHECK(vm.try_load("return").ok());
  CHECK_FALSE(vm.try_load("return return").ok());
}

TEST_CASE("the non-throwing form keeps the kind of error") {
  baton::VM vm;
  auto result = vm.try_run("x = = 1");
  REQUIRE_FALSE(result.ok());
  CHECK(dynamic_cast<const baton::SyntaxError*>(&result.error()) != nullptr);
}

TEST_CASE("frozen tables are read-only for everybody") {
  baton::VM vm;
  baton::Table shared = vm.eval<baton::Table>("{n = 1, list = {1, 2, 3}, [1] = 'a', nested = {deep = {x = 1}}}");
  vm["shared"] = shared;
  shared.freeze();
  CHECK(shared.is_frozen());
  CHECK(vm.eval<int>("shared.n + shared.list[2]") == 3);
  for (const char* attempt : {"shared.n = 2", "shared.new = 1", "shared[1] = 'b'", "shared.list[1] = 0", "shared.list[9] = 0", "rawset(shared, 'n', 5)",
                              "shared.nested.deep.x = 2", "table.insert(shared.list, 4)", "table.sort(shared.list, function(a, b) return a > b end)",
                              "table.remove(shared.list)", "local k = 'n' shared[k] = 3", "local i = 1 shared.list[i] = 'x'",
                              "shared.n = nil", "table.move({9, 9}, 1, 2, 1, shared.list)", "setmetatable(shared, {})",
                              "for i = 1, 100 do shared.n = i end", "shared.list[1.0] = 5"}) {
    INFO(attempt);
    CHECK_FALSE(vm.try_run(attempt).ok());
  }
  CHECK_THROWS_AS(shared.set("n", 3), baton::Error);
  CHECK(vm.eval<int>("shared.n + shared.list[1] + #shared.list + shared.nested.deep.x") == 6);
  CHECK(vm.eval<std::string>("shared[1]") == "a");
}

TEST_CASE("fields by every kind of key, with and without the lock, with metamethods and frozen") {
  baton::VM vm;
  const baton::Table t = vm.table();
  const std::string long_name(100, 'n');
  const char* pointer = "pointer";
  auto all = [&] {
    t.set("literal", 1);
    t.set(std::string("text"), "value");
    t.set(std::string_view("view"), true);
    t.set(pointer, 2.5);
    t.set(long_name, 7);
    t.set(3, "three");
    t.set("literal", t.get<int>("literal") + 1);
    t.set("gone", 1);
    t.set("gone", nullptr);
    CHECK(t.get<int>("literal") == 2);
    CHECK(t.get<std::string>("text") == "value");
    CHECK(t.get<bool>(std::string("view")));
    CHECK(t.get<double>("pointer") == 2.5);
    CHECK(t.get<int>(long_name) == 7);
    CHECK(t.get<std::string>(3) == "three");
    CHECK(t.get<baton::Value>("gone").is_nil());
    CHECK(t.get<baton::Value>("never").is_nil());
    CHECK_THROWS_AS(t.get<int>("text"), baton::TypeError);
  };
  all();
  {
    const baton::Lock gil{vm};
    all();
  }
  vm["t"] = t;
  vm.run("setmetatable(t, {__index = function(_, k) return 'made ' .. k end, __newindex = function(s, k, v) rawset(s, k, v * 2) end})");
  CHECK(t.get<std::string>("absent") == "made absent");
  CHECK(t.raw_get<baton::Value>("absent").is_nil());
  t.set("literal", 5);  // has a value: no metamethod
  t.set("fresh", 5);
  CHECK(t.get<int>("literal") == 5);
  CHECK(t.get<int>("fresh") == 10);
  t.freeze();
  CHECK_THROWS_AS(t.set("literal", 6), baton::Error);
  CHECK(t.get<int>("literal") == 5);
}

TEST_CASE("one address may hold one key after the other") {
  baton::VM vm;
  const baton::Table t = vm.eval<baton::Table>("{first = 1, other = 2, ['seventeen letters'] = 3, ['seventeen lettert'] = 4, [''] = 5}");
  std::string key;
  key.reserve(64);
  for (int round = 0; round < 3; ++round) {
    int expected = 0;
    for (const char* text : {"first", "other", "seventeen letters", "seventeen lettert", ""}) {
      key = text;
      CHECK(t.get<int>(key) == ++expected);
      if (round == 1) vm.collect();
    }
  }
}

TEST_CASE("containers say what is wrong inside") {
  baton::VM vm;
  vm.bind("list", [](std::vector<int> v) { return v.size(); });
  vm.bind("map", [](std::map<std::string, int> m) { return m.size(); });
  CHECK_THROWS_WITH(vm.run("list({1, 'x'})", "=job"), "job:1: bad argument #1 to 'list' (a value in the table has a wrong type)");
  CHECK_THROWS_WITH(vm.run("map({x = {}})", "=job"), "job:1: bad argument #1 to 'map' (a value in the table has a wrong type)");
  CHECK_THROWS_WITH(vm.run("list(1)", "=job"), "job:1: bad argument #1 to 'list' (table expected, got number)");
}

TEST_CASE("calls of functions without loops collect their garbage") {
  baton::VM vm;
  const baton::Function make = vm.eval<baton::Function>("function() return {1, 2, 3} end");
  for (int i = 0; i < 200'000; ++i) make.call<void>();
  CHECK(vm.memory_used() < 8'000'000);
  const baton::Lock gil{vm};
  for (int i = 0; i < 200'000; ++i) make.call<void>();
  CHECK(vm.memory_used() < 8'000'000);
}

TEST_CASE("a call from within a catch block leaves the exception in place") {
  baton::VM vm;
  const baton::Function f = vm.eval<baton::Function>("function(n) return pcall(error, n) and 0 or n end");
  try {
    throw std::runtime_error("outer");
  } catch (const std::runtime_error&) {
    CHECK(f.call<int>(4) == 4);
    CHECK_THROWS_AS(vm.run("error('inner')"), baton::Error);
    CHECK_THROWS_WITH(throw, "outer");
  }
}

TEST_CASE("handles of a closed VM throw VMClosed") {
  baton::VM vm;
  const baton::Table t = vm.table();
  const baton::Function f = vm.eval<baton::Function>("function(...) return ... end");
  vm.close();
  CHECK_THROWS_AS(t.get<int>("x"), baton::VMClosed);
  CHECK_THROWS_AS(t.set("x", 1), baton::VMClosed);
  CHECK_THROWS_AS(t.set(1, "x"), baton::VMClosed);
  CHECK_THROWS_AS(t.size(), baton::VMClosed);
  CHECK_THROWS_AS(f.call<void>(), baton::VMClosed);
  CHECK_THROWS_AS(f.call<void>("text"), baton::VMClosed);
}

TEST_CASE("freezing the globals freezes the methods of strings") {
  baton::VM vm;
  vm.globals().freeze();
  CHECK_FALSE(vm.try_run("getmetatable('').__index = {}").ok());
  CHECK(vm.run<std::string>("return ('ab'):rep(2)") == "abab");
}
