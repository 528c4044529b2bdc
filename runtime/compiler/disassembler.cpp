#include "compiler/disassembler.h"

#include <cctype>

#include "base/number.h"
#include "bytecode/instruction.h"
#include "value/string.h"

namespace baton::compiler {
namespace {

constexpr std::size_t kNameColumn = 24;
constexpr std::size_t kOperandColumn = 24;
constexpr std::size_t kShownStringBytes = 60;

void pad(std::string& text, std::size_t start, std::size_t width) {
  const std::size_t used = text.size() - start;
  text.append(used < width ? width - used : 1, ' ');
}

std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes.substr(0, kShownStringBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') text.append({'\\', c});
    else if (c == '\n') text.append("\\n");
    else if (byte < 32 || byte >= 127) text.append("\\").append(std::to_string(byte));
    else text.push_back(c);
  }
  text.push_back('"');
  if (bytes.size() > kShownStringBytes) text.append("...");
  return text;
}

std::string constant_text(const Prototype& p, std::uint32_t index) {
  if (index >= p.constants.size) return "?";
  const Value& value = p.constants[index];
  char buffer[number::kTextBytes];
  switch (value.tag) {
    case Tag::kNil: return "nil";
    case Tag::kFalse: return "false";
    case Tag::kTrue: return "true";
    case Tag::kInteger: return {buffer, number::to_text(value.integer, buffer)};
    case Tag::kFloat: return {buffer, number::to_text(value.number, buffer)};
    default: return quoted(value.string()->view());
  }
}

std::string upvalue_text(const Prototype& p, std::uint32_t index) {
  if (index >= p.upvalues.size || p.upvalues[index].name == nullptr) return "?";
  return std::string(p.upvalues[index].name->view());
}

Instruction generic(const Instruction& instruction) {
  Instruction result = instruction.decoded();
  result.op = opcode_info(result.op).base;
  return result;
}

// The operands of one instruction, and a comment on constants and upvalues.
class Line {
 public:
  Line(const Prototype& prototype, std::uint32_t pc) : p_(prototype), i_(generic(prototype.code[pc])), pc_(pc) {}

  std::string take() {
    const OpcodeInfo& info = opcode_info(i_.op);
    text_ = info.name;
    pad(text_, 0, kNameColumn);
    const std::size_t operands = text_.size();
    operand(info.a, i_.a, i_.a);
    operand(info.b, i_.b, i_.signed_b());
    if (info.form == InstructionForm::kABC) operand(info.c, i_.c, i_.signed_c());
    else wide_operand(info);
    if (i_.op == Opcode::kVarargPrepare) add(std::to_string(i_.a));
    arithmetic_order();
    if (!comment_.empty()) {
      pad(text_, operands, kOperandColumn);
      text_.append(";").append(comment_);
    }
    while (text_.back() == ' ') text_.pop_back();
    return std::move(text_);
  }

 private:
  void add(const std::string& word) { text_.append(word).push_back(' '); }

  void operand(OperandKind kind, std::uint32_t value, std::int32_t immediate) {
    switch (kind) {
      case OperandKind::kNone: break;
      case OperandKind::kReg:
      case OperandKind::kDst:
      case OperandKind::kDstReg: add("R" + std::to_string(value)); break;
      case OperandKind::kUp:
        add("U" + std::to_string(value));
        comment_.append(" ").append(upvalue_text(p_, value));
        break;
      case OperandKind::kConst: constant(value); break;
      case OperandKind::kInt: add(std::to_string(immediate)); break;
      case OperandKind::kUInt: add(std::to_string(value)); break;
    }
  }

  void constant(std::uint32_t index) {
    add("K" + std::to_string(index));
    comment_.append(" ").append(constant_text(p_, index));
  }

  void wide_operand(const OpcodeInfo& info) {
    switch (info.form) {
      case InstructionForm::kASj:
      case InstructionForm::kABSj:
        if ((info.flags & kOpJump) != 0) add("-> " + std::to_string(static_cast<std::int64_t>(pc_) + 1 + i_.j));
        else add(std::to_string(i_.j));
        break;
      case InstructionForm::kAU:
      case InstructionForm::kABU:
        if (i_.op == Opcode::kLoadConstant) constant(i_.u);
        else if (i_.op == Opcode::kMakeClosure) add("F" + std::to_string(i_.u));
        else add(std::to_string(i_.u));
        break;
      default: break;
    }
  }

  void arithmetic_order() {
    if (i_.op < Opcode::kAddK || i_.op > Opcode::kAddInteger) return;
    if (i_.d == 1) add("flipped");
    if (i_.d == 2) add("subtracted");
  }

  const Prototype& p_;
  const Instruction i_;
  std::uint32_t pc_;
  std::string text_;
  std::string comment_;
};

void header(std::string& out, const Prototype& p, const std::string& path) {
  out.append("function ").append(path);
  out.append(" lines ").append(std::to_string(p.line_defined)).append("-").append(std::to_string(p.last_line_defined));
  out.append(" parameters ").append(std::to_string(p.parameter_count)).append(p.is_vararg != 0 ? "+" : "");
  out.append(" registers ").append(std::to_string(p.max_stack));
  if (p.needs_close != 0) out.append(" closes");
  out.append("\n");
  for (std::uint32_t i = 0; i < p.upvalues.size; ++i) {
    const UpvalueDescription& upvalue = p.upvalues[i];
    out.append("  U").append(std::to_string(i)).append(" ").append(upvalue_text(p, i));
    out.append(upvalue.in_stack != 0 ? " = R" : " = U").append(std::to_string(upvalue.index)).append("\n");
  }
}

void locals(std::string& out, const Prototype& p) {
  for (const LocalDescription& local : p.locals) {
    out.append("  local ").append(local.name->view());
    out.append(" ").append(std::to_string(local.start_pc)).append("-").append(std::to_string(local.end_pc)).append("\n");
  }
}

void function(std::string& out, const Prototype& p, const std::string& path) {
  header(out, p, path);
  for (std::uint32_t pc = 0; pc < p.code.size; ++pc) {
    const std::size_t start = out.size();
    out.append("  ").append(std::to_string(pc));
    pad(out, start, 7);
    out.append("[").append(std::to_string(prototype::line_at(&p, pc))).append("]");
    pad(out, start, 14);
    out.append(disassemble_instruction(p, pc)).append("\n");
  }
  locals(out, p);
  for (std::uint32_t i = 0; i < p.prototypes.size; ++i) {
    out.append("\n");
    function(out, *p.prototypes[i], path + ".F" + std::to_string(i));
  }
}

}  // namespace

std::string disassemble_instruction(const Prototype& prototype, std::uint32_t pc) { return Line(prototype, pc).take(); }

std::string disassemble(const Prototype& prototype) {
  std::string out;
  function(out, prototype, "main");
  return out;
}

}  // namespace baton::compiler
