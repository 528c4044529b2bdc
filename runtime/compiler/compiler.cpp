#include "compiler/compiler.h"

#include "base/arena.h"
#include "base/chunk_name.h"
#include "compiler/fusion.h"
#include "compiler/generator.h"
#include "compiler/pieces.h"
#include "compiler/verifier.h"
#include "syntax/parser.h"
#include "value/string.h"

namespace baton::compiler {
namespace {

// The memory of a syntax tree counts as the heap's while it exists.
class CountedArena {
 public:
  explicit CountedArena(Heap& heap) : heap_(heap), arena_(count, this) {}
  ~CountedArena() { heap_.remove_external(counted_); }
  CountedArena(const CountedArena&) = delete;
  CountedArena& operator=(const CountedArena&) = delete;
  Arena& arena() { return arena_; }
  // Gives the memory back, in pieces. Raises: what a poll throws.
  void release(Pieces& pieces) {
    while (arena_.release_some()) pieces.count(kUnitsOfChunk);
  }

 private:
  static constexpr std::uint32_t kUnitsOfChunk = 2048;

  static void count(void* self, std::size_t bytes, std::size_t) {
    auto* counted = static_cast<CountedArena*>(self);
    counted->heap_.add_external(bytes);
    counted->counted_ += bytes;
  }

  Heap& heap_;
  std::size_t counted_ = 0;
  Arena arena_;
};

void call_poll(void* context) { (*static_cast<const std::function<void()>*>(context))(); }

}  // namespace

Prototype* compile(Heap& heap, std::string_view text, std::string_view chunk_name, const CompileOptions& options) {
  CountedArena tree_memory(heap);
  syntax::ParseOptions parse_options;
  parse_options.hash_seed = heap.seed();
  parse_options.borrows_text = true;
  if (options.poll) {
    parse_options.poll.function = call_poll;
    parse_options.poll.context = const_cast<std::function<void()>*>(&options.poll);
  }
  syntax::ParseResult tree;
  try {
    tree = syntax::parse(text, chunk_name, tree_memory.arena(), parse_options);
  } catch (const syntax::SyntaxError& error) {
    throw CompileError{error.message()};
  }
  String* source = options.source != nullptr ? options.source : string::make(heap, chunk_name);
  const ChunkName chunk{source, chunk_display_name(chunk_name)};
  Pieces pieces(options.poll);
  Generator generator(heap, chunk, pieces);
  Prototype* prototype = generator.function(*tree.main);
#ifndef NDEBUG
  const VerifierResult verdict = verify(*prototype, pieces);
  BATON_CHECK(verdict.is_valid, verdict.problem);
#endif
  fuse(*prototype, pieces);
  tree_memory.release(pieces);
  return prototype;
}

}  // namespace baton::compiler
