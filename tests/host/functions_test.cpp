#include <baton/baton.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <thread>

namespace {

int plain_add(int a, int b) { return a + b; }

struct Vec {
  double x, y;
  Vec(double x_, double y_) : x(x_), y(y_) {}
  double len() const { return x * x + y * y; }
  Vec& scale(double by) {
    x *= by;
    y *= by;
    return *this;
  }
};
Vec add(const Vec& a, const Vec& b) { return {a.x + b.x, a.y + b.y}; }

struct Animal {
  virtual ~Animal() { ++destroyed; }
  virtual std::string speak() const { return "..."; }
  std::string name = "nobody";
  static inline int destroyed = 0;
};
struct Extra {
  int extra = 77;
};
struct Dog : Extra, Animal {
  std::string speak() const override { return "woof"; }
};

}  // namespace

TEST_CASE("every kind of callable can be bound") {
  baton::VM vm;
  vm.bind("plain", &plain_add);
  int base = 10;
  vm.bind("lambda", [&base](int a) { return base + a; });
  vm.bind("nothing", [] {});
  vm.bind("several", [] { return std::tuple<int, std::string>(1, "two"); });
  vm.bind("stored", std::function<double(double)>([](double d) { return d / 2; }));
  vm.bind("lib.deep.f", [] { return "deep"; });
  vm.bind("mutable_one", [n = 0]() mutable { return ++n; });
  vm["assigned"] = [](std::string s) { return s + "!"; };
  CHECK(vm.eval<int>("plain(1, 2)") == 3);
  CHECK(vm.eval<int>("lambda(5)") == 15);
  CHECK(vm.run<int>("return select('#', nothing())") == 0);
  CHECK(vm.eval<std::string>("(function() local a, b = several() return a .. b end)()") == "1two");
  CHECK(vm.eval<double>("stored(5)") == 2.5);
  CHECK(vm.eval<std::string>("lib.deep.f()") == "deep");
  CHECK(vm.eval<int>("mutable_one() + mutable_one()") == 3);
  CHECK(vm.eval<std::string>("assigned('x')") == "x!");
}

TEST_CASE("arguments are checked as Lua's own functions check them") {
  baton::VM vm;
  vm.bind("add", &plain_add);
  CHECK_THROWS_WITH(vm.run("add('x', 1)", "=t"), "t:1: bad argument #1 to 'add' (number expected, got string)");
  CHECK_THROWS_WITH(vm.run("add(1)", "=t"), "t:1: bad argument #2 to 'add' (number expected, got no value)");
  CHECK_THROWS_WITH(vm.run("add(1, nil)", "=t"), "t:1: bad argument #2 to 'add' (number expected, got nil)");
  CHECK_THROWS_WITH(vm.run("add(1, 1.5)", "=t"), "t:1: bad argument #2 to 'add' (number has no integer representation)");
  CHECK_THROWS_WITH(vm.run("add(1, {})", "=t"), "t:1: bad argument #2 to 'add' (number expected, got table)");
  vm.bind("maybe", [](std::optional<int> n) { return n.value_or(-1); });
  CHECK(vm.eval<int>("maybe() + maybe(5)") == 4);
  vm.bind("count", [](const std::string& first, baton::Args rest) { return first + std::to_string(rest.size()); });
  CHECK(vm.eval<std::string>("count('a', 1, nil, 3)") == "a3");
  vm.bind("all", [](baton::VM& inner, int n) {
    baton::Multiple results;
    for (int i = 1; i <= n; ++i) results.values.push_back(inner.value(i));
    return results;
  });
  CHECK(vm.run<int>("return select('#', all(100))") == 100);
}

TEST_CASE("exceptions become errors, errors become exceptions") {
  baton::VM vm;
  vm.bind("fails", []() -> int { throw std::runtime_error("broken"); });
  vm.bind("odd", []() -> int { throw 5; });
  CHECK_THROWS_WITH(vm.run("fails()", "=t"), "t:1: broken");
  CHECK(vm.eval<std::string>("select(2, pcall(fails))") == "broken");
  CHECK(vm.eval<std::string>("select(2, pcall(odd))") == "unknown C++ exception");
  vm.bind("through", [](const baton::Function& f) { f.call<void>(); });
  CHECK(vm.run<int>("local e = {} local ok, got = pcall(through, function() error(e) end) return got == e and 1 or 0") == 1);
  vm.bind("inside_catch", [](const baton::Function& f) {
    try {
      throw std::runtime_error("first");
    } catch (const std::exception&) {
      return f.call<int>();  // scripts may run, and fibers switch, while an exception is handled
    }
  });
  CHECK(vm.run<int>("return inside_catch(function() local co = coroutine.wrap(function() pcall(error, 'x') coroutine.yield(1) "
                    "return 2 end) return co() + co() end)") == 3);
}

TEST_CASE("functions of scripts as std::function, and a function of the host that calls back") {
  baton::VM vm;
  std::function<int(int)> doubled = vm.run<std::function<int(int)>>("return function(x) return x * 2 end");
  CHECK(doubled(21) == 42);
  vm.bind("apply", [](const std::function<int(int)>& f, int n) { return f(n); });
  CHECK(vm.eval<int>("apply(function(x) return x + 1 end, 4)") == 5);
  vm.bind("nested", [](baton::VM& inner, int depth) -> int { return depth == 0 ? 0 : 1 + inner.call<int>("nested", depth - 1); });
  CHECK(vm.eval<int>("nested(20)") == 20);
  CHECK_THROWS_AS(vm.run("nested(100000)"), baton::Error);
  CHECK(vm.eval<int>("nested(5)") == 5);
}

TEST_CASE("a yield passes through functions of the host") {
  baton::VM vm;
  vm.bind("each", [](const baton::Function& f) {
    int sum = 0;
    for (int i = 1; i <= 3; ++i) sum += f.call<int>(i);
    return sum;
  });
  CHECK(vm.run<int>("local co = coroutine.wrap(function() return each(coroutine.yield) end) "
                    "local sum = co() sum = sum + co(10) + co(20) return sum * 1000 + co(30)") == 6060);
  // an abandoned coroutine with a frame of the host on its stack is unwound
  struct Noted {
    bool* gone;
    ~Noted() { *gone = true; }
  };
  bool gone = false;
  vm.bind("holds", [&gone](const baton::Function& f) {
    Noted noted{&gone};
    f.call<void>();
  });
  vm.run("local co = coroutine.create(function() holds(coroutine.yield) end) coroutine.resume(co)");
  vm.collect();
  vm.collect();
  CHECK(gone);
}

TEST_CASE("classes have constructors, methods, properties and metamethods") {
  baton::VM vm;
  vm.class_<Vec>("Vec").ctor<double, double>().method("len", &Vec::len).method("scale", &Vec::scale).property("x", &Vec::x)
      .readonly("y", &Vec::y).meta(baton::op::add, add).meta(baton::op::tostring, [](const Vec& v) { return "Vec " + std::to_string(int(v.x)); })
      .meta(baton::op::eq, [](const Vec& a, const Vec& b) { return a.x == b.x && a.y == b.y; }).static_function("zero", [] { return Vec(0, 0); })
      .constant("DIMENSIONS", 2);
  CHECK(vm.eval<double>("Vec(3, 4):len()") == 25);
  CHECK(vm.eval<double>("Vec.new(3, 4).y") == 4);
  CHECK(vm.run<double>("local v = Vec(1, 2) + Vec(3, 4) v.x = v.x + 1 return v.x * 10 + v.y") == 56);
  CHECK(vm.eval<std::string>("tostring(Vec(5, 6))") == "Vec 5");
  CHECK(vm.eval<bool>("Vec(1, 2) == Vec(1, 2)"));
  CHECK(vm.eval<int>("Vec.DIMENSIONS") == 2);
  CHECK(vm.eval<double>("Vec.zero().x") == 0);
  CHECK_THROWS_WITH(vm.run("Vec(1, 2).y = 5", "=t"), Catch::Contains("cannot set field 'y' of a Vec"));
  CHECK_THROWS_WITH(vm.run("Vec(1, 2).len('x')", "=t"), "t:1: bad argument #1 to 'len' (Vec expected, got string)");
  CHECK_THROWS_WITH(vm.run("Vec('a', 2)", "=t"), Catch::Contains("number expected, got string"));
  CHECK(vm.eval<bool>("Vec(1, 2).nothing == nil"));
  const Vec copy = vm.eval<Vec>("Vec(8, 9)");
  CHECK(copy.y == 9);
  vm["v"] = Vec(1, 1);
  CHECK(vm.eval<double>("v:scale(3).x") == 3);
  CHECK(vm.eval<double>("v.x") == 3);
  CHECK(vm.run<double>("local w = v:scale(1) w.x = 100 return v.x") == 3);  // scale returned a reference: a copy travelled
  Vec mine(2, 2);
  vm["mine"] = &mine;
  vm.run("mine:scale(2) mine.x = 9");
  CHECK(mine.x == 9);
  CHECK(mine.y == 4);
  CHECK(vm.eval<Vec*>("mine") == &mine);
  CHECK(vm.eval<bool>("getmetatable(v) == false"));
}

TEST_CASE("objects are owned, shared, referred to, and inherit") {
  Animal::destroyed = 0;
  auto shared = std::make_shared<Animal>();
  {
    baton::VM vm;
    vm.class_<Animal>("Animal").ctor<>().method("speak", &Animal::speak).property("name", &Animal::name);
    vm.class_<Dog>("Dog").ctor<>().base<Animal>().method("extra", [](const Dog& d) { return d.extra; });
    CHECK(vm.eval<std::string>("Dog():speak()") == "woof");
    CHECK(vm.eval<int>("Dog():extra()") == 77);
    CHECK(vm.run<std::string>("local d = Dog() d.name = 'rex' return d.name") == "rex");
    vm.bind("name_of", [](const Animal& a) { return a.name; });
    CHECK(vm.run<std::string>("local d = Dog() d.name = 'bo' return name_of(d)") == "bo");
    vm.bind("only_dogs", [](Dog&) {});
    CHECK_THROWS_WITH(vm.run("only_dogs(Animal())", "=t"), "t:1: bad argument #1 to 'only_dogs' (Dog expected, got Animal)");
    vm["shared"] = shared;
    CHECK(shared.use_count() == 2);
    CHECK(vm.eval<std::shared_ptr<Animal>>("shared") == shared);
    vm["owned"] = std::make_unique<Animal>();
    CHECK(vm.eval<std::string>("owned:speak()") == "...");
    vm.run("owned = nil");
    const int before = Animal::destroyed;
    vm.collect();
    vm.collect();
    CHECK(Animal::destroyed > before);
  }
  CHECK(shared.use_count() == 1);
}

TEST_CASE("a binding lives as long as its function") {
  auto token = std::make_shared<int>(1);
  {
    baton::VM vm;
    vm.bind("f", [token] { return *token; });
    CHECK(token.use_count() == 2);
    vm.run("f = nil");
    vm.collect();
    vm.collect();
    CHECK(token.use_count() == 1);
    vm.bind("g", [token] { return *token; });
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("errors in a class's own functions are told where the script's author wrote") {
  baton::VM vm;
  vm.class_<Vec>("Vec").ctor<double, double>().property("x", &Vec::x).readonly("y", &Vec::y);
  const auto message = [&vm](const char* source) { return std::string(vm.try_run(source, "=job").error().what()); };
  CHECK(message("local v = Vec(1, 2)\nv.x = 'one'") == "job:2: bad value for field 'x' (number expected, got string)");
  CHECK(message("local v = Vec(1, 2)\n\nv.y = 1") == "job:3: cannot set field 'y' of a Vec");
  CHECK(message("\nlocal v = Vec('a', 2)") == "job:2: bad argument #1 to 'new' (number expected, got string)");
}

TEST_CASE("objects of several constructors complain in the same way") {
  baton::VM vm;
  vm.class_<Vec>("Vec").ctor<double, double>().factory([](double both) { return Vec(both, both); });
  const auto message = [&vm](const char* source) { return std::string(vm.try_run(source, "=job").error().what()); };
  CHECK(message("\nlocal v = Vec('a', 2)") == "job:2: bad argument #1 to 'new' (number expected, got string)");
  CHECK(message("\nlocal v = Vec(1, 2, 3)") == "job:2: no constructor with 3 arguments");
}

TEST_CASE("objects that refer to the same thing are equal") {
  baton::VM vm;
  vm.class_<Vec>("Vec").ctor<double, double>();
  Vec one(1, 2), other(1, 2);
  vm.bind("get", [&](bool first) { return first ? &one : &other; });
  CHECK(vm.run<bool>("local a = get(true) return a == get(true) and a ~= get(false) and a ~= 1 and a ~= Vec(1, 2)"));
  Vec& same = vm.run<Vec&>("return get(true)");
  CHECK(&same == &one);
  CHECK_THROWS_WITH(vm.run<Vec&>("return 1"), Catch::Contains("Vec expected, got number"));
  CHECK_THROWS_AS(vm.run<Vec&>("return nil"), baton::TypeError);
}

TEST_CASE("a class that says what equal means keeps it, and hands it down") {
  baton::VM vm;
  vm.class_<Animal>("Animal").ctor<>().property("name", &Animal::name).meta(baton::op::eq, [](const Animal& a, const Animal& b) {
    return a.name == b.name;
  });
  vm.class_<Dog>("Dog").ctor<>().base<Animal>();
  CHECK(vm.run<bool>("local a, b = Animal(), Animal() return a == b"));
  CHECK(vm.run<bool>("local a, b = Dog(), Dog() b.name = 'rex' return a == Dog() and a ~= b"));
}

TEST_CASE("the host throws any value") {
  baton::VM vm;
  vm.bind("fail", [](baton::VM& v) {
    baton::Table t = v.table();
    t["code"] = 5;
    throw baton::Error(t);
  });
  CHECK(vm.run<int>("local ok, e = pcall(fail) return e.code") == 5);
  CHECK_THROWS_AS(baton::Error(baton::Value()), baton::TypeError);
}
