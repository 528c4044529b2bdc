// The format of a binary chunk.
//
//      signature    4    ESC "Lua"
//      language     1    0x54
//      format       1    0
//      data         6    bytes that text conversions damage
//      sizes        3    4, and the bytes of an integer and a float
//      integer      8    a known integer, and
//      float        8    a known float, in this machine's byte order
//      upvalues     1    of the main function
//      owner       16    "Baton bytecode n", n counts layouts
//      opcodes      8    hash of the table of opcodes: a chunk of another instruction set is refused
//      length       8    bytes of the body
//      checksum     8    hash of the body
//      body              the main function
//
// Up to the known float this is the header that programs know from Lua 5.4, and tools and tests that look at it find what they
// expect. What follows is ours: a chunk of PUC Lua has no owner and is refused. PUC Lua, given one of ours, reads the
// owner as the length of a name, written in groups of seven bits without an end, and refuses it as an integer overflow.
//
// A function is: numbers (line_defined, last_line_defined, parameters, vararg, registers, needs_close), source, code,
// constants, upvalues, inner functions, lines, locals. Counts and other small numbers are written in groups of seven bits,
// lowest first; a string is its length plus one and its bytes, or 0 for none; lines are differences.
//
// Instructions are written by their base opcode. The field `d` is written only where it is an operand (arithmetic with a
// constant); elsewhere it is a hint of the interpreter and becomes 0.
//
// Reading trusts nothing. The checksum catches accidents; a chunk with a right checksum may still be made to deceive, so
// every count is compared with the bytes that are left before anything is allocated for it, nesting is limited, and the
// result must pass the verifier.
#include "compiler/binary_format.h"

#include <cstring>
#include <vector>

#include "base/hash.h"
#include "bytecode/instruction.h"
#include "compiler/compiler.h"
#include "compiler/fusion.h"
#include "compiler/pieces.h"
#include "compiler/verifier.h"
#include "value/code_block.h"
#include "value/string.h"
#include "value/table_template.h"

namespace baton::compiler {
namespace {

constexpr std::uint8_t kLanguage = 0x54;
constexpr std::uint8_t kInstructionBytes = 4;  // of the header known from Lua; ours are fixed by the owner
constexpr std::int64_t kKnownInteger = 0x5678;
constexpr double kKnownFloat = 370.5;
constexpr std::uint64_t kChecksumSeed = 0x42746E;
constexpr int kMaxDepth = 220;  // of functions in functions; the parser allows less
constexpr std::uint32_t kFunctionBytes = 14;  // at least
enum ConstantKind : std::uint8_t { kNil, kFalse, kTrue, kInteger, kFloat, kString };

std::uint64_t opcode_table_hash() {
  std::uint64_t state = kOpcodeCount;
  for (int i = 0; i < kOpcodeCount; ++i) {
    const OpcodeInfo& info = opcode_info(static_cast<Opcode>(i));
    state = hash::of_string(info.name, state) + static_cast<std::uint64_t>(info.form);
  }
  return state;
}

bool keeps_d(Opcode op) { return op >= Opcode::kAddK && op <= Opcode::kAddInteger; }

bool has_c_and_d(InstructionForm form) {
  return form == InstructionForm::kABC || form == InstructionForm::kAB || form == InstructionForm::kA;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

class Writer {
 public:
  // Takes: bytes that the function's shall follow.
  Writer(DebugInformation debug, std::size_t bytes_before, const std::function<void()>& poll)
      : out_(bytes_before, '\0'), strip_(debug == DebugInformation::kStrip), pieces_(poll) {}

  void function(const Prototype& p, const String* parent_source) {
    pieces_.count(Pieces::kPerFunction);
    number(p.line_defined);
    number(p.last_line_defined);
    for (const std::uint8_t byte : {p.parameter_count, p.is_vararg, p.max_stack, p.needs_close}) number(byte);
    string(strip_ || p.source == parent_source ? nullptr : p.source);
    number(p.code.size);
    for (const Instruction& instruction : p.code) code(p, instruction);
    number(p.constants.size);
    for (const Value& value : p.constants) constant(value);
    number(p.upvalues.size);
    for (const UpvalueDescription& upvalue : p.upvalues) {
      for (const std::uint8_t byte : {upvalue.in_stack, upvalue.index, upvalue.attribute}) number(byte);
      string(strip_ ? nullptr : upvalue.name);
    }
    number(p.prototypes.size);
    for (const Prototype* child : p.prototypes) function(*child, p.source);
    debug(p);
  }
  std::string take() { return std::move(out_); }

 private:
  void number(std::uint64_t value) {
    for (; value >= 128; value >>= 7) out_.push_back(static_cast<char>(value | 128));
    out_.push_back(static_cast<char>(value));
  }
  void word(std::uint64_t bits) { out_.append(reinterpret_cast<const char*>(&bits), sizeof bits); }
  void string(const String* s) {
    number(s == nullptr ? 0 : std::uint64_t{s->length} + 1);
    if (s != nullptr) out_.append(s->view());
  }
  void code(const Prototype& p, Instruction instruction) {
    pieces_.count();
    const OpcodeInfo& base = opcode_info(opcode_info(instruction.op).base);
    instruction.op = opcode_info(instruction.op).base;
    if (instruction.op == Opcode::kNewTable) instruction.u = table::array_slots_of(&p, instruction.u);
    if (has_c_and_d(base.form) && !keeps_d(instruction.op)) instruction.d = 0;
    instruction = instruction.decoded();
    out_.append(reinterpret_cast<const char*>(&instruction), sizeof instruction);
  }
  void constant(const Value& value) {
    pieces_.count();
    switch (value.tag) {
      case Tag::kNil: number(kNil); break;
      case Tag::kFalse: number(kFalse); break;
      case Tag::kTrue: number(kTrue); break;
      case Tag::kInteger: number(kInteger), word(value.bits); break;
      case Tag::kFloat: number(kFloat), word(value.bits); break;
      default: number(kString), string(value.string()); break;
    }
  }
  void debug(const Prototype& p) {
    number(strip_ ? 0 : p.lines.size);
    std::uint32_t previous = p.line_defined;
    for (std::uint32_t i = 0; !strip_ && i < p.lines.size; ++i) {
      const auto difference = static_cast<std::int32_t>(p.lines[i] - previous);
      number(static_cast<std::uint32_t>(difference) << 1 ^ static_cast<std::uint32_t>(difference >> 31));
      previous = p.lines[i];
      pieces_.count();
    }
    number(strip_ ? 0 : p.locals.size);
    for (std::uint32_t i = 0; !strip_ && i < p.locals.size; ++i) {
      string(p.locals[i].name);
      number(p.locals[i].start_pc);
      number(p.locals[i].end_pc);
    }
  }

  std::string out_;
  bool strip_;
  Pieces pieces_;
};

#pragma pack(push, 1)
struct Header {
  char signature[4];
  std::uint8_t language;
  std::uint8_t format;
  char data[6];
  std::uint8_t sizes[3];
  std::int64_t integer;
  double number;
  std::uint8_t upvalues;
  char owner[16];
  std::uint64_t opcodes;
  std::uint64_t length;
  std::uint64_t checksum;
};
#pragma pack(pop)
static_assert(sizeof(Header) == 72);

constexpr std::string_view kTextConversionData = "\x19\x93\r\n\x1a\n";
constexpr std::string_view kOwner = "Baton bytecode 2";
static_assert(kTextConversionData.size() == sizeof Header::data && kOwner.size() == sizeof Header::owner);

Header make_header() {
  Header header{};
  std::memcpy(header.signature, kBinarySignature.data(), sizeof header.signature);
  header.language = kLanguage;
  std::memcpy(header.data, kTextConversionData.data(), sizeof header.data);
  header.sizes[0] = kInstructionBytes;
  header.sizes[1] = sizeof(std::int64_t);
  header.sizes[2] = sizeof(double);
  header.integer = kKnownInteger;
  header.number = kKnownFloat;
  std::memcpy(header.owner, kOwner.data(), sizeof header.owner);
  header.opcodes = opcode_table_hash();
  return header;
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

// The functions that are being read are roots, with all they have so far. They get more while the collector may have done with
// them, so storing passes the barrier: when one is complete, nobody looks after its parts any more.
class Reader final : public RootVisitor {
 public:
  Reader(Heap& heap, std::string_view bytes, std::string_view chunk_name, const std::function<void()>& poll)
      : heap_(heap), rest_(bytes), chunk_name_(chunk_name), pieces_(poll) {
    heap.add_root_visitor(this);
  }
  ~Reader() override { heap_.remove_root_visitor(this); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void mark_roots(Heap& heap) noexcept override {
    const auto mark = [&heap](Object* object) { if (object != nullptr) heap.mark_object(object); };
    for (Prototype* p : open_) {
      mark(p);
      mark(p->source);
      for (const Value& constant : p->constants) heap.mark_value(constant);
      for (Prototype* child : p->prototypes) mark(child);
      for (const UpvalueDescription& upvalue : p->upvalues) mark(upvalue.name);
      for (const LocalDescription& local : p->locals) mark(local.name);
    }
  }

  Prototype* main() {
    const std::size_t upvalues = header();
    Prototype* result = function(nullptr, 0);
    open_.push_back(result);
    if (!rest_.empty() || result->upvalues.size != upvalues) bad("corrupted chunk");
    const VerifierResult verdict = verify(*result, pieces_);
    if (!verdict.is_valid) bad("invalid code: " + std::string(verdict.problem));
    fuse(*result, pieces_);
    return result;
  }

 private:
  [[noreturn]] void bad(const std::string& why) const {
    std::string name(chunk_name_);
    if (!name.empty() && (name[0] == '@' || name[0] == '=')) name.erase(0, 1);
    else if (is_binary(name)) name = "binary string";
    throw CompileError{name + ": bad binary format (" + why + ")"};
  }

  // Returns: the number of upvalues that it announces.
  std::size_t header() {
    const std::size_t known = rest_.size() < kBinarySignature.size() ? rest_.size() : kBinarySignature.size();
    if (rest_.substr(0, known) != kBinarySignature.substr(0, known)) bad("not a binary chunk");
    Header given{};
    std::memcpy(&given, rest_.data(), rest_.size() < sizeof given ? rest_.size() : sizeof given);
    const Header own = make_header();
    const auto demand = [&](const void* got, const void* wanted, std::size_t bytes, const char* otherwise) {
      const auto end = static_cast<std::size_t>(static_cast<const char*>(got) - reinterpret_cast<const char*>(&given)) + bytes;
      if (end > rest_.size()) bad("truncated chunk");
      if (std::memcmp(got, wanted, bytes) != 0) bad(otherwise);
    };
    demand(&given.language, &own.language, 1, "version mismatch");
    demand(&given.format, &own.format, 1, "format mismatch");
    demand(given.data, own.data, sizeof own.data, "corrupted chunk");
    demand(&given.sizes[0], &own.sizes[0], 1, "Instruction size mismatch");
    demand(&given.sizes[1], &own.sizes[1], 1, "lua_Integer size mismatch");
    demand(&given.sizes[2], &own.sizes[2], 1, "lua_Number size mismatch");
    demand(&given.integer, &own.integer, sizeof own.integer, "integer format mismatch");
    demand(&given.number, &own.number, sizeof own.number, "float format mismatch");
    demand(given.owner, own.owner, sizeof own.owner, "made by another program");
    demand(&given.opcodes, &own.opcodes, sizeof own.opcodes, "version mismatch");
    if (rest_.size() < sizeof given) bad("truncated chunk");
    rest_.remove_prefix(sizeof given);
    if (given.length > rest_.size()) bad("truncated chunk");
    rest_ = rest_.substr(0, static_cast<std::size_t>(given.length));
    if (hash::of_string(rest_, kChecksumSeed) != given.checksum) bad("corrupted chunk");
    return given.upvalues;
  }

  std::uint64_t number(std::uint64_t limit) {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) bad("truncated chunk");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) {
        if (value > limit) bad("integer overflow");
        return value;
      }
    }
    bad("integer overflow");
  }
  std::uint32_t number32() { return static_cast<std::uint32_t>(number(UINT32_MAX)); }
  std::uint8_t byte(std::uint8_t limit = 255) { return static_cast<std::uint8_t>(number(limit)); }

  // A count of things that take at least `bytes` bytes each.
  std::uint32_t count(std::size_t bytes) {
    const std::uint64_t value = number(INT32_MAX);
    if (value > rest_.size() / bytes) bad("truncated chunk");
    return static_cast<std::uint32_t>(value);
  }
  void raw(void* to, std::size_t bytes) {
    if (bytes > rest_.size()) bad("truncated chunk");
    std::memcpy(to, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
  }
  String* string() {
    const std::uint64_t stored = number(UINT64_MAX);
    if (stored == 0) return nullptr;
    if (stored - 1 > rest_.size()) bad("truncated chunk");
    const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(stored - 1));
    rest_.remove_prefix(bytes.size());
    return string::make(heap_, bytes);
  }
  Value constant() {
    std::uint64_t bits = 0;
    switch (byte()) {
      case kNil: return Value::nil();
      case kFalse: return Value::boolean(false);
      case kTrue: return Value::boolean(true);
      case kInteger: raw(&bits, sizeof bits); return Value::from(static_cast<std::int64_t>(bits));
      case kFloat: {
        double value;
        raw(&value, sizeof value);
        return Value::from(value);
      }
      case kString:
        if (const String* s = string()) return Value::of(s);
        bad("bad format for constant string");
      default: bad("invalid constant");
    }
  }

  // Checks no more than that it can be encoded; the verifier does the rest.
  Instruction instruction() {
    Instruction read;
    raw(&read, sizeof read);
    if (static_cast<int>(read.op) >= kOpcodeCount) bad("corrupted chunk");
    const Instruction kept = read.encoded();
    const Instruction back = kept.decoded();
    if (back.b != read.b || back.c != read.c) bad("corrupted chunk");
    return kept;
  }
  Prototype* function(String* parent_source, int depth);
  void code_and_constants(Prototype* p);
  void debug(Prototype* p);

  Heap& heap_;
  std::string_view rest_;
  std::string_view chunk_name_;
  Pieces pieces_;
  std::vector<Prototype*> open_;
};

Prototype* Reader::function(String* parent_source, int depth) {
  if (depth > kMaxDepth) bad("corrupted chunk");
  pieces_.count(Pieces::kPerFunction);
  open_.push_back(nullptr);
  Prototype* p = open_.back() = prototype::make(heap_);
  p->line_defined = number32();
  p->last_line_defined = number32();
  p->parameter_count = byte();
  p->is_vararg = byte(1);
  p->max_stack = byte();
  p->needs_close = byte(1);
  p->source = string();
  if (p->source == nullptr) p->source = parent_source;
  heap_.barrier(p, p->source);
  code_and_constants(p);
  prototype::allocate(heap_, p->upvalues, count(4));
  for (UpvalueDescription& upvalue : p->upvalues) {
    upvalue.in_stack = byte(1);
    upvalue.index = byte();
    upvalue.attribute = byte(2);
    upvalue.name = string();
    heap_.barrier(p, upvalue.name);
  }
  prototype::allocate(heap_, p->prototypes, count(kFunctionBytes));
  for (Prototype*& child : p->prototypes) {
    child = function(p->source, depth + 1);
    heap_.barrier(p, child);
  }
  debug(p);
  open_.pop_back();
  return p;
}

void Reader::code_and_constants(Prototype* p) {
  prototype::allocate_code(heap_, p, count(sizeof(Instruction)));
  for (Instruction& instruction : p->code) {
    instruction = this->instruction();
    pieces_.count();
  }
  prototype::allocate_constants(heap_, p, count(1));
  for (Value& value : p->constants) {
    value = constant();
    heap_.barrier(p, value);
    pieces_.count(4);
  }
}

void Reader::debug(Prototype* p) {
  prototype::allocate(heap_, p->lines, count(1));
  std::uint32_t previous = p->line_defined;
  for (std::uint32_t& line : p->lines) {
    const std::uint32_t stored = number32();
    previous += (stored >> 1) ^ (0u - (stored & 1));
    line = previous;
    pieces_.count();
  }
  prototype::allocate(heap_, p->locals, count(3));
  for (LocalDescription& local : p->locals) {
    local.name = string();
    heap_.barrier(p, local.name);
    local.start_pc = number32();
    local.end_pc = number32();
    pieces_.count(4);
  }
}

}  // namespace

std::string dump(const Prototype& prototype, DebugInformation debug, const std::function<void()>& poll) {
  Writer writer(debug, sizeof(Header), poll);
  writer.function(prototype, nullptr);
  std::string out = writer.take();
  const std::string_view body = std::string_view(out).substr(sizeof(Header));
  Header header = make_header();
  header.upvalues = static_cast<std::uint8_t>(prototype.upvalues.size);
  header.length = body.size();
  header.checksum = hash::of_string(body, kChecksumSeed);
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

Prototype* undump(Heap& heap, std::string_view bytes, std::string_view chunk_name, const std::function<void()>& poll) {
  return Reader(heap, bytes, chunk_name, poll).main();
}

}  // namespace baton::compiler
