// process.shared: memory that several processes see. It travels as a descriptor; its bytes are never copied.
//
// The memory is a file without a name whose size is sealed, so no other process can shrink it under our feet.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "process_channel.h"
#include "vm/operations.h"
#include "vm/safepoint.h"

namespace baton::stdlib {
namespace {

constexpr const char* kSharedClass = "Shared";
constexpr std::int64_t kMostBytes = std::int64_t{1} << 46;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

struct Block {
  char* memory;
  std::size_t size;
  int descriptor;
};

Table* shared_metatable(ThreadState& thread);

void release_shared(void* block) noexcept {
  auto& shared = *static_cast<Block*>(block);
  if (shared.memory != nullptr) munmap(shared.memory, shared.size);
  if (shared.descriptor >= 0) close(shared.descriptor);
  shared = {nullptr, 0, -1};
}

// A Shared over a descriptor, which it takes; nil if it cannot be mapped (errno). Raises: kMemory.
Value make_shared_memory(ThreadState& thread, int descriptor, std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    close(descriptor);
    errno = error;
    return Value();
  }
  Userdata* handle = userdata::make(thread.heap(), sizeof(Block));
  *static_cast<Block*>(handle->block()) = {static_cast<char*>(memory), size, descriptor};
  handle->release = release_shared;
  handle->metatable = shared_metatable(thread);
  return Value::of(handle);
}

Block& check_shared(NativeCall& call) {
  auto& shared = *static_cast<Block*>(call.check_userdata(1, kSharedClass));
  if (shared.memory == nullptr) call.error("attempt to use closed shared memory");
  return shared;
}

// Cell i of 64 bits.
std::int64_t* check_cell(NativeCall& call) {
  const Block& shared = check_shared(call);
  const std::int64_t index = call.check_integer(2);
  if (index < 1 || static_cast<std::uint64_t>(index) > shared.size / 8) call.argument_error(2, "index out of range");
  return reinterpret_cast<std::int64_t*>(shared.memory) + (index - 1);
}

int shared_get(NativeCall& call) { return call.result(Value::from(__atomic_load_n(check_cell(call), __ATOMIC_SEQ_CST))); }

int shared_set(NativeCall& call) {
  std::int64_t* cell = check_cell(call);
  __atomic_store_n(cell, call.check_integer(3), __ATOMIC_SEQ_CST);
  return 0;
}

int shared_add(NativeCall& call) {
  std::int64_t* cell = check_cell(call);
  const auto change = static_cast<std::uint64_t>(call.optional_integer(3, 1));
  auto* bits = reinterpret_cast<std::uint64_t*>(cell);  // wraps as integers of scripts do
  return call.result(Value::from(static_cast<std::int64_t>(__atomic_add_fetch(bits, change, __ATOMIC_SEQ_CST))));
}

char* check_range(NativeCall& call, const Block& shared, std::size_t bytes) {
  const std::int64_t position = call.check_integer(2);
  if (position < 1 || static_cast<std::uint64_t>(position) > shared.size + 1) call.argument_error(2, "position out of range");
  if (bytes > shared.size - static_cast<std::size_t>(position - 1)) call.argument_error(3, "range exceeds the memory");
  return shared.memory + (position - 1);
}

int shared_read(NativeCall& call) {
  const Block& shared = check_shared(call);
  const std::int64_t count = call.check_integer(3);
  if (count < 0) call.argument_error(3, "negative count");
  const char* from = check_range(call, shared, static_cast<std::size_t>(count));
  vm::make_room(call.thread(), static_cast<std::size_t>(count));
  return call.result_string({from, static_cast<std::size_t>(count)});
}

int shared_write(NativeCall& call) {
  const Block& shared = check_shared(call);
  const std::string_view bytes = call.check_text(3);
  char* to = check_range(call, shared, bytes.size());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return 0;
}

int shared_length(NativeCall& call) { return call.result(Value::from(static_cast<std::int64_t>(check_shared(call).size))); }

int shared_close(NativeCall& call) {
  release_shared(call.check_userdata(1, kSharedClass));
  return call.result(Value::boolean(true));
}

const NativeInfo kMethods[] = {
    {"add", "Shared:add(i: integer, n?: integer) -> integer",
     "Adds n (1) to cell i, counted from 1, and returns the new value, as one step for all processes.\n"
     "Raises: \"index out of range\".",
     shared_add},
    {"close", "Shared:close() -> boolean",
     "Gives this process's view of the memory up.",
     shared_close},
    {"get", "Shared:get(i: integer) -> integer",
     "Cell i, a 64-bit integer; cells are counted from 1.\n"
     "Raises: \"index out of range\".",
     shared_get},
    {"read", "Shared:read(position: integer, n: integer) -> string",
     "n bytes from a position, counted from 1.\n"
     "Raises: \"range exceeds the memory\".",
     shared_read},
    {"set", "Shared:set(i: integer, n: integer)",
     "Sets cell i, counted from 1.\n"
     "Raises: \"index out of range\".",
     shared_set},
    {"write", "Shared:write(position: integer, text: string)",
     "Copies bytes to a position, counted from 1.\n"
     "Raises: \"range exceeds the memory\".",
     shared_write},
    {nullptr, nullptr, nullptr, nullptr},
};
constexpr NativeInfo kLength = {"__len", "#shared", "Its bytes.", shared_length};

const char* pack_shared(Userdata* object, std::string& bytes, std::vector<int>& descriptors) {
  const auto& shared = *static_cast<const Block*>(object->block());
  if (shared.memory == nullptr) return "closed shared memory";
  const int copy = fcntl(shared.descriptor, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return "shared memory for which there is no descriptor left";
  descriptors.push_back(copy);
  const std::uint64_t size = shared.size;
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  return nullptr;
}

Value unpack_shared(ThreadState& thread, std::string_view bytes, std::vector<int>& descriptors, std::size_t& next) {
  std::uint64_t size;
  if (bytes.size() != sizeof size || next >= descriptors.size()) return Value();
  std::memcpy(&size, bytes.data(), sizeof size);
  const int descriptor = descriptors[next];
  descriptors[next++] = -1;
  struct stat information;
  const bool fits = fstat(descriptor, &information) == 0 && size > 0 && size == static_cast<std::uint64_t>(information.st_size);
  if (!fits || (fcntl(descriptor, F_GET_SEALS) & kSeals) != kSeals) {
    close(descriptor);
    return Value();
  }
  return make_shared_memory(thread, descriptor, size);
}

constexpr host::Traveller kTraveller = {kSharedClass, pack_shared, unpack_shared};

Table* shared_metatable(ThreadState& thread) {
  bool created = false;
  Table* metatable = native::class_metatable(thread, kSharedClass, &created);
  if (!created) return metatable;
  Table* methods = table::make(thread.heap());
  native::add_functions(thread, methods, kMethods);
  native::set_field(thread, metatable, "__index", Value::of(methods));
  native::set_field(thread, metatable, "__len", native::make(thread, &kLength));
  native::set_field(thread, metatable, "__close", native::get_field(thread, methods, "close"));
  host::add_traveller(thread, metatable, kTraveller);
  return metatable;
}

}  // namespace

int process_shared(NativeCall& call) {
  const std::int64_t size = call.check_integer(1);
  if (size < 1 || size > kMostBytes) call.argument_error(1, "size out of range");
  const int descriptor = memfd_create("shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return call.failure_named(errno, "");
  if (ftruncate(descriptor, size) != 0 || fcntl(descriptor, F_ADD_SEALS, kSeals) != 0) {
    const int error = errno;
    close(descriptor);
    return call.failure_named(error, "");
  }
  const Value made = make_shared_memory(call.thread(), descriptor, static_cast<std::size_t>(size));
  if (made.is_nil()) return call.failure_named(errno, "");
  return call.result(made);
}

void register_travellers(ThreadState& thread) {
  (void)shared_metatable(thread);
  register_queue(thread);
}

}  // namespace baton::stdlib
