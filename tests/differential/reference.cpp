// The reference side of the parser comparison: what liblua5.4 says about each source of a corpus. It links nothing of Baton;
// Lua serves here as an oracle in a process of its own. One line per source: "ok", or "error" and the message.
#include <lua.hpp>

#include <fstream>
#include <iostream>
#include <string>

namespace {

// Messages hold line ends and zeros where sources do; the answer must stay one line.
std::string one_line(const char* text, size_t length) {
  std::string out;
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == '\n' || c == '\r' || c == '\0') {
      out += "\\" + std::to_string(c);
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: reference_parser CORPUS\n";
    return 2;
  }
  std::ifstream corpus(argv[1], std::ios::binary);
  std::string header;
  lua_State* state = luaL_newstate();
  while (std::getline(corpus, header)) {
    std::string source(std::stoul(header), '\0');
    corpus.read(source.data(), static_cast<std::streamsize>(source.size()));
    corpus.get();
    if (luaL_loadbufferx(state, source.data(), source.size(), "=s", "t") == LUA_OK) {
      std::cout << "ok\n";
    } else {
      size_t length = 0;
      const char* message = lua_tolstring(state, -1, &length);
      std::cout << "error " << one_line(message, length) << "\n";
    }
    lua_settop(state, 0);
  }
  lua_close(state);
  return 0;
}
