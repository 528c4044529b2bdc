// Compares the listing of every tests/golden/NAME.script with NAME.txt, so that a change of the generated code shows in review.
//   golden_bytecode DIRECTORY             compares; exit status 1 and the first differing lines if something changed
//   golden_bytecode --refresh DIRECTORY   writes the .txt files anew
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "compiler/compiler.h"
#include "compiler/disassembler.h"

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string listing(const fs::path& script) {
  baton::Heap heap(0);
  try {
    return baton::compiler::disassemble(*baton::compiler::compile(heap, read(script), "@" + script.filename().string()));
  } catch (const baton::compiler::CompileError& error) {
    return error.message + "\n";
  }
}

void report(const fs::path& script, const std::string& expected, const std::string& got) {
  const auto differ = std::mismatch(expected.begin(), expected.end(), got.begin(), got.end());
  const auto line = std::count(expected.begin(), differ.first, '\n') + 1;
  const auto offset = static_cast<std::size_t>(differ.first - expected.begin());
  const std::size_t start = offset == 0 ? 0 : expected.rfind('\n', offset - 1) + 1;
  const auto line_of = [start](const std::string& text) {
    return start < text.size() ? text.substr(start, text.find('\n', start) - start) : std::string("(end)");
  };
  std::cout << script.filename().string() << ": line " << line << " of the listing changed\n  expected " << line_of(expected)
            << "\n  got      " << line_of(got) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  const bool refresh = argc == 3 && std::string(argv[1]) == "--refresh";
  if (argc != 2 && !refresh) {
    std::cerr << "usage: golden_bytecode [--refresh] DIRECTORY\n";
    return 2;
  }
  std::vector<fs::path> scripts;
  for (const auto& entry : fs::directory_iterator(argv[argc - 1])) {
    if (entry.path().extension() == ".script") scripts.push_back(entry.path());
  }
  std::sort(scripts.begin(), scripts.end());
  int changed = 0;
  for (const fs::path& script : scripts) {
    const fs::path text = fs::path(script).replace_extension(".txt");
    const std::string got = listing(script);
    if (refresh) {
      std::ofstream(text, std::ios::binary) << got;
    } else if (const std::string expected = read(text); expected != got) {
      report(script, expected, got);
      ++changed;
    }
  }
  std::cout << scripts.size() << " listings, " << changed << " changed\n";
  return changed == 0 && !scripts.empty() ? 0 : 1;
}
