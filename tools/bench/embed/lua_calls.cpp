// The same crossings with the C API of liblua5.4, as a careful C++ program writes them: protected calls with a traceback
// handler, as baton's calls are. A program of its own, so that the two never meet in one process.
#include <lua5.4/lua.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// The best of many short rounds, so that some of them meet a processor that does nothing else.
template <class Body>
double best_ns(int count, Body body) {
  constexpr int kRounds = 70;
  count = std::max(1, count / 10);
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = Clock::now();
    body(count);
    best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - began).count() / count);
  }
  return best;
}

void print(const char* name, double ns) { std::printf("%s %.1f\n", name, ns); }

int handler(lua_State* L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

int host_add(lua_State* L) {
  lua_pushnumber(L, luaL_checknumber(L, 1) + luaL_checknumber(L, 2));
  return 1;
}

int function_of(lua_State* L, const char* source) {
  luaL_dostring(L, source);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void call(lua_State* L, int reference, int n) {
  lua_pushcfunction(L, handler);
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  lua_pushinteger(L, n);
  lua_pcall(L, 1, 0, -3);
  lua_pop(L, 1);
}

}  // namespace

int main() {
  lua_State* L = luaL_newstate();
  luaL_openlibs(L);
  const int empty = function_of(L, "return function() end");
  print("call_empty_script_function", best_ns(500'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushcfunction(L, handler);
      lua_rawgeti(L, LUA_REGISTRYINDEX, empty);
      lua_pcall(L, 0, 0, -2);
      lua_pop(L, 1);
    }
  }));
  const int add = function_of(L, "return function(a, b) return a + b end");
  double sum = 0;
  print("call_with_two_numbers", best_ns(500'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushcfunction(L, handler);
      lua_rawgeti(L, LUA_REGISTRYINDEX, add);
      lua_pushnumber(L, 1);
      lua_pushnumber(L, 2);
      lua_pcall(L, 2, 1, -4);
      sum += lua_tonumber(L, -1);
      lua_pop(L, 2);
    }
  }));
  lua_register(L, "host_add", host_add);
  const int loop = function_of(L, "local f = host_add return function(n) for i = 1, n do f(1.5, 2.5) end end");
  const int bare = function_of(L, "return function(n) for i = 1, n do end end");
  const double with_loop = best_ns(2'000'000, [&](int n) { call(L, loop, n); });
  print("bound_function_two_numbers", with_loop - best_ns(2'000'000, [&](int n) { call(L, bare, n); }));
  lua_newtable(L);
  print("set_field", best_ns(500'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushinteger(L, i);
      lua_setfield(L, -2, "field");
    }
  }));
  print("get_field", best_ns(500'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_getfield(L, -1, "field");
      sum += static_cast<double>(lua_tointeger(L, -1));
      lua_pop(L, 1);
    }
  }));
  const int text = function_of(L, "return function(s) return s end");
  print("string_there_and_back", best_ns(200'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushcfunction(L, handler);
      lua_rawgeti(L, LUA_REGISTRYINDEX, text);
      lua_pushstring(L, "twenty bytes of text");
      lua_pcall(L, 1, 1, -3);
      size_t size;
      const char* bytes = lua_tolstring(L, -1, &size);
      sum += static_cast<double>(std::string(bytes, size).size());
      lua_pop(L, 2);
    }
  }));
  lua_rawgeti(L, LUA_REGISTRYINDEX, empty);
  lua_setglobal(L, "named");
  print("call_by_name", best_ns(500'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushcfunction(L, handler);
      lua_getglobal(L, "named");
      lua_pcall(L, 0, 0, -2);
      lua_pop(L, 1);
    }
  }));
  std::vector<std::string> words;
  for (int i = 0; i < 1000; ++i) words.push_back("word " + std::to_string(i));
  print("many_strings_there", best_ns(200'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      const std::string& word = words[static_cast<std::size_t>(i) % 1000];
      lua_pushcfunction(L, handler);
      lua_rawgeti(L, LUA_REGISTRYINDEX, text);
      lua_pushlstring(L, word.data(), word.size());
      lua_pcall(L, 1, 0, -3);
      lua_pop(L, 1);
    }
  }));
  const int fails = function_of(L, "return function() error('x') end");
  print("error_without_throwing", best_ns(20'000, [&](int n) {
    for (int i = 0; i < n; ++i) {
      lua_pushcfunction(L, handler);
      lua_rawgeti(L, LUA_REGISTRYINDEX, fails);
      lua_pcall(L, 0, 0, -2);
      lua_pop(L, 2);
    }
  }));
  print("make_and_close_a_vm", best_ns(50, [](int n) {
    for (int i = 0; i < n; ++i) {
      lua_State* made = luaL_newstate();
      luaL_openlibs(made);
      lua_close(made);
    }
  }));
  lua_close(L);
  return sum < 0;
}
