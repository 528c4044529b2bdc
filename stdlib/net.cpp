// The module net: streams over TCP and unix sockets, listeners, datagrams, names. Servers are in net_serve.script.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "all_modules.h"
#include "birthplace.h"
#include "loop/event_loop.h"
#include "net_address.h"
#include "net_stream.h"
#include "net_tls_stream.h"
#include "option_table.h"
#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sched/wait.h"
#include "script_part.h"
#include "thread_library.h"
#include "vm/call.h"
#include "thread_scratch.h"
#include "vm/native.h"
#include "vm/operations.h"

namespace baton::stdlib {
namespace {

constexpr std::string_view kServe =
#include "net_serve.inc"
    ;

constexpr const char* kListenerClass = "Listener";
constexpr const char* kUdpClass = "Udp";

// A descriptor that is closed unless it is taken.
class Descriptor {
 public:
  explicit Descriptor(ThreadState& thread, int number) noexcept : thread_(thread), number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close_descriptor(&thread_.shared, number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }
  SharedState& shared() const noexcept { return thread_.shared; }
  int take() noexcept { return std::exchange(number_, -1); }

 private:
  ThreadState& thread_;
  int number_;
};

int resolve_failure(NativeCall& call, const ResolveError& error) {
  call.push(Value());
  call.push_string(error.message);
  call.push_string(error.name);
  return 3;
}

std::string described(std::string_view host, int port) {
  std::string text(host);
  if (port != 0) text += ":" + std::to_string(port);
  return text;
}

bool is_unix(std::string_view host) noexcept { return host.substr(0, 5) == "unix:"; }

// The port is argument i. A unix socket has none: there it may be left out.
int check_port(NativeCall& call, int i, std::string_view host) {
  if (is_unix(host) && (call.none_or_nil(i) || call.arg(i).is_table())) return 0;
  const std::int64_t port = call.check_integer(i);
  if (port < 0 || port > 65535) call.argument_error(i, "port out of range");
  return static_cast<int>(port);
}

// Where the options stand behind host and port.
int options_place(NativeCall& call, std::string_view host) { return is_unix(host) && call.arg(2).is_table() ? 2 : 3; }

void set_no_delay(int descriptor) noexcept {
  const int on = 1;
  (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // refused for unix sockets
}

// Takes the descriptor over.
std::unique_ptr<ByteStream> make_stream(Descriptor& made) {
  set_no_delay(made.get());
  auto stream = std::make_unique<DescriptorStream>(made.get(), true, &made.shared());
  (void)made.take();
  return stream;
}

// Takes the descriptor over. Null: no memory for a session.
std::unique_ptr<TlsStream> make_tls_stream(Descriptor& made, std::shared_ptr<const TlsContext> context, const std::string& host) {
  set_no_delay(made.get());
  std::unique_ptr<TlsSession> session = TlsSession::make(std::move(context), host);
  if (session == nullptr) return nullptr;
  auto stream = std::make_unique<TlsStream>(made.get(), &made.shared(), std::move(session));
  (void)made.take();
  return stream;
}

// --- connecting ------------------------------------------------------------------------------------------------------------

// Connects a fresh socket. Returns: 0, an errno, or ETIMEDOUT at the deadline (then `late` is set).
int connect_to(ThreadState& thread, int descriptor, const Address& address, std::int64_t deadline_ns, bool* late) {
  int error = connect(descriptor, address.any(), address.length) == 0 ? 0 : errno;
  if (error == EAGAIN && address.family() == AF_UNIX) {  // a full backlog: nothing tells when there is a place
    sched::sleep_task_until(thread, monotonic_ns() + 1'000'000, "net.connect");
    return connect_to(thread, descriptor, address, deadline_ns, late);
  }
  if (error != EINPROGRESS && error != EINTR) return error;
  int refusal = 0;
  const auto result = loop::EventLoop::of(thread).wait_for(thread, descriptor, loop::Direction::kWrite, deadline_ns, "net.connect",
                                                           &refusal);
  if (refusal != 0) return refusal;
  if (result == sched::WaitResult::kTimedOut) {
    *late = true;
    return ETIMEDOUT;
  }
  socklen_t length = sizeof error;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

// What `net.connect` was asked for.
struct Wanted {
  std::string host;
  int port = 0;
  std::int64_t deadline_ns = kNoDeadline;
  std::shared_ptr<const TlsContext> tls;  // null: none
  std::string server_name;                // "": host
};

// Pushes the Stream over a connected socket, or a failure. Returns: how many.
int push_connected(NativeCall& call, Descriptor& made, const Wanted& wanted) {
  if (wanted.tls == nullptr) {
    push_stream(call, make_stream(made));
    return 1;
  }
  auto stream = make_tls_stream(made, wanted.tls, wanted.server_name.empty() ? wanted.host : wanted.server_name);
  if (stream == nullptr) raise(ErrorId::kMemory);
  TlsStream& greeting = *stream;
  push_stream(call, std::move(stream));  // closed by the collector if this raises
  int error;
  try {
    error = greeting.greet(call.thread(), wanted.deadline_ns);
  } catch (...) {
    greeting.close(nullptr);
    throw;
  }
  if (error == 0) return 1;
  greeting.close(&call.thread());
  return error == ETIMEDOUT ? timeout_result(call) : greeting.push_failure(call, error);
}

int net_connect(NativeCall& call) {
  static constexpr const char* kOptions[] = {"tls", "timeout", nullptr};
  ThreadState& thread = call.thread();
  Wanted wanted{std::string(call.check_text(1)), 0, kNoDeadline, nullptr, ""};
  wanted.port = check_port(call, 2, wanted.host);
  const int place = options_place(call, wanted.host);
  const OptionTable options(call, place, kOptions);
  if (!options.get("timeout").is_nil()) wanted.deadline_ns = sched::deadline_after(options.number("timeout", 0));
  std::string unusable;
  wanted.tls = read_tls_option(call, place, false, &wanted.server_name, &unusable);
  if (!unusable.empty()) return push_tls_failure(call, unusable, false);
  sched::before_wait(thread);
  ResolveError unknown;
  const std::vector<Address> addresses = resolve(thread, wanted.host, wanted.port, false, &unknown);
  if (unknown) return resolve_failure(call, unknown);
  int error = EADDRNOTAVAIL;
  for (const Address& address : addresses) {
    Descriptor made(thread, socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.get() < 0) return call.failure_named(errno, described(wanted.host, wanted.port));
    bool late = false;
    error = connect_to(thread, made.get(), address, wanted.deadline_ns, &late);
    if (late) return timeout_result(call);
    if (error == 0) return push_connected(call, made, wanted);
  }
  return call.failure_named(error, described(wanted.host, wanted.port));
}

// --- listeners -------------------------------------------------------------------------------------------------------------

struct Listener {
  static constexpr const char* kName = kListenerClass;
  int descriptor = -1;
  int port = 0;
  SharedState* shared = nullptr;  // of who has waited for it
  Birthplace birthplace;
  std::string path;  // of a unix socket, removed when it is closed
  std::shared_ptr<const TlsContext> tls;  // null: none

  void close() noexcept {
    if (descriptor < 0) return;
    close_descriptor(shared, std::exchange(descriptor, -1));
    if (!path.empty()) unlink(path.c_str());
  }
};

Listener& any_listener(NativeCall& call) { return **static_cast<Listener**>(call.check_userdata(1, kListenerClass)); }

// A socket file that nobody listens at any more is removed.
bool remove_stale(const Address& address) noexcept {
  const char* path = reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
  struct stat information;
  if (stat(path, &information) != 0 || !S_ISSOCK(information.st_mode)) return false;
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool stale = connect(probe, address.any(), address.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return stale && unlink(path) == 0;
}

int bind_to(int descriptor, const Address& address) noexcept {
  const int on = 1;
  (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(descriptor, address.any(), address.length) == 0) return 0;
  if (errno == EADDRINUSE && address.family() == AF_UNIX && remove_stale(address)) {
    return bind(descriptor, address.any(), address.length) == 0 ? 0 : errno;
  }
  return errno;
}

int own_port(int descriptor) noexcept {
  Address address;
  address.length = sizeof address.storage;
  return getsockname(descriptor, address.any(), &address.length) == 0 ? address.port() : 0;
}

int accept_one(NativeCall& call) {
  ThreadState& thread = call.thread();
  Listener& listener = any_listener(call);
  if (listener.descriptor < 0) call.error("attempt to use a closed listener");
  const std::int64_t deadline_ns = timeout_argument(call, 2);
  sched::before_wait(thread);
  auto& events = loop::EventLoop::of(thread);  // it needs descriptors itself, and connections may take all that are left
  for (;;) {
    if (listener.descriptor < 0) return call.failure_named(EBADF, "the listener was closed");
    Descriptor made(thread, accept4(listener.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (made.get() >= 0) {
      if (listener.tls == nullptr) {
        push_stream(call, make_stream(made));
        return 1;
      }
      auto stream = make_tls_stream(made, listener.tls, "");
      if (stream == nullptr) raise(ErrorId::kMemory);
      push_stream(call, std::move(stream));
      return 1;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return call.failure_named(errno, "");
    listener.shared = &thread.shared;
    int refusal = 0;
    const auto result = events.wait_for(thread, listener.descriptor, loop::Direction::kRead, deadline_ns, "listener.accept", &refusal);
    if (refusal != 0) return call.failure_named(refusal, "");
    if (result == sched::WaitResult::kTimedOut) return timeout_result(call);
  }
}

int listener_close(NativeCall& call) {
  any_listener(call).close();
  return call.result(Value::boolean(true));
}

const NativeInfo kListenerMethods[] = {
    {"accept", "Listener:accept(timeout?: number) -> Stream?",
     "Waits for a connection.\n"
     "Fails: nil, message, code: \"timeout\", \"ETIMEDOUT\" when late, EBADF when it is closed meanwhile.\n"
     "Waits: parks the task.",
     accept_one},
    {"close", "Listener:close() -> boolean",
     "Closes it; who waits in accept gets EBADF.",
     listener_close},
    {nullptr, nullptr, nullptr, nullptr},
};

int listener_index(NativeCall& call) {
  const Value key = call.arg(2);
  if (key.is_string() && key.string()->view() == "port") {
    return call.result(Value::from(std::int64_t{any_listener(call).port}));
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

const NativeInfo kListenerMetamethods[] = {
    {"__index", "listener[key]", "Field port, and the methods of a listener.", listener_index},
    {"__close", "listener:__close()", "Closes it at the end of its scope.", listener_close},
    {nullptr, nullptr, nullptr, nullptr},
};

// A userdata that owns `made` through a pointer; it is closed when it is collected.
template <class Owned>
void push_owner(NativeCall& call, std::unique_ptr<Owned> made, Table* metatable) {
  made->birthplace.note(call);
  Userdata* handle = userdata::make(call.heap(), sizeof(Owned*));
  call.push(Value::of(handle));
  *static_cast<Owned**>(handle->block()) = made.release();
  handle->release = [](void* block) noexcept {
    Owned* owned = *static_cast<Owned**>(block);
    if (owned->descriptor >= 0) owned->birthplace.complain(Owned::kName);
    owned->close();
    delete owned;
  };
  handle->metatable = metatable;
}

int net_listen(NativeCall& call) {
  static constexpr const char* kOptions[] = {"tls", nullptr};
  ThreadState& thread = call.thread();
  const std::string host(call.optional_text(1, ""));
  const int port = check_port(call, 2, host);
  const int place = options_place(call, host);
  const OptionTable options(call, place, kOptions);
  std::string unusable, server_name;
  const std::shared_ptr<const TlsContext> tls = read_tls_option(call, place, true, &server_name, &unusable);
  if (!unusable.empty()) return push_tls_failure(call, unusable, false);
  ResolveError unknown;
  const std::vector<Address> addresses = resolve(thread, host, port, true, &unknown);
  if (unknown) return resolve_failure(call, unknown);
  int error = EADDRNOTAVAIL;
  for (const Address& address : addresses) {
    auto listener = std::make_unique<Listener>();
    Descriptor made(thread, socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.get() < 0) return call.failure_named(errno, described(host, port));
    error = bind_to(made.get(), address);
    if (error == 0 && listen(made.get(), SOMAXCONN) != 0) error = errno;
    if (error != 0) continue;
    listener->port = own_port(made.get());
    if (address.family() == AF_UNIX) listener->path = host.substr(5);
    Table* metatable = native::class_with_methods(thread, kListenerClass, kListenerMethods, kListenerMetamethods);
    listener->tls = tls;
    listener->descriptor = made.take();
    push_owner(call, std::move(listener), metatable);
    return 1;
  }
  return call.failure_named(error, described(host, port));
}

// --- datagrams -------------------------------------------------------------------------------------------------------------

struct Udp {
  static constexpr const char* kName = kUdpClass;
  int descriptor = -1;
  Birthplace birthplace;
  int family = AF_UNSPEC;
  SharedState* shared = nullptr;  // of who has waited for it

  void close() noexcept {
    if (descriptor >= 0) close_descriptor(shared, std::exchange(descriptor, -1));
  }
};

Udp& check_udp(NativeCall& call) {
  Udp& udp = **static_cast<Udp**>(call.check_userdata(1, kUdpClass));
  if (udp.descriptor < 0 && udp.family == -1) call.error("attempt to use a closed socket");
  return udp;
}

// Makes the socket of the family that is needed first. Returns: 0 or an errno.
int open_udp(Udp& udp, int family) noexcept {
  if (udp.descriptor >= 0) return 0;
  udp.descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  udp.family = family;
  return udp.descriptor >= 0 ? 0 : errno;
}

int udp_bind(NativeCall& call) {
  Udp& udp = check_udp(call);
  const std::string host(call.optional_text(2, ""));
  const int port = check_port(call, 3, host);
  ResolveError unknown;
  const std::vector<Address> addresses = resolve(call.thread(), host, port, true, &unknown);
  if (unknown) return resolve_failure(call, unknown);
  int error = EADDRNOTAVAIL;
  for (const Address& address : addresses) {
    error = open_udp(udp, address.family());
    if (error == 0 && bind(udp.descriptor, address.any(), address.length) != 0) error = errno;
    if (error == 0) return call.result(Value::boolean(true));
  }
  return call.failure_named(error, described(host, port));
}

int udp_send(NativeCall& call) {
  ThreadState& thread = call.thread();
  Udp& udp = check_udp(call);
  const std::string_view data = call.check_text(2);
  const std::string host(call.check_text(3));
  const int port = check_port(call, 4, host);
  sched::before_wait(thread);
  ResolveError unknown;
  const std::vector<Address> addresses = resolve(thread, host, port, false, &unknown);
  if (unknown) return resolve_failure(call, unknown);
  int error = EAFNOSUPPORT;
  for (const Address& address : addresses) {
    error = open_udp(udp, address.family());
    if (error != 0 || udp.family != address.family()) continue;
    while (sendto(udp.descriptor, data.data(), data.size(), MSG_NOSIGNAL, address.any(), address.length) < 0) {
      error = errno;
      if (error == EINTR) continue;
      if (error != EAGAIN && error != EWOULDBLOCK) break;
      udp.shared = &thread.shared;
      (void)loop::EventLoop::of(thread).wait_for(thread, udp.descriptor, loop::Direction::kWrite, kNoDeadline, "udp.send", &error);
      if (error != 0) break;
    }
    if (error == 0) return call.result(Value::boolean(true));
  }
  return call.failure_named(error, described(host, port));
}

int udp_receive(NativeCall& call) {
  ThreadState& thread = call.thread();
  Udp& udp = check_udp(call);
  const std::int64_t deadline_ns = timeout_argument(call, 2);
  if (udp.descriptor < 0) call.error("the socket is not bound");
  sched::before_wait(thread);
  constexpr std::size_t kLargestDatagram = 65536;
  char* bytes = thread_scratch<kLargestDatagram>();
  for (;;) {
    if (udp.descriptor < 0) return call.failure_named(EBADF, "");
    Address from;
    from.length = sizeof from.storage;
    const ssize_t got = recvfrom(udp.descriptor, bytes, kLargestDatagram, 0, from.any(), &from.length);
    if (got >= 0) {
      call.push_string({bytes, static_cast<std::size_t>(got)});
      call.push_string(from.host());
      call.push(Value::from(std::int64_t{from.port()}));
      return 3;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return call.failure_named(errno, "");
    udp.shared = &thread.shared;
    int refusal = 0;
    const auto result = loop::EventLoop::of(thread).wait_for(thread, udp.descriptor, loop::Direction::kRead, deadline_ns,
                                                             "udp.receive", &refusal);
    if (refusal != 0) return call.failure_named(refusal, "");
    if (result == sched::WaitResult::kTimedOut) return timeout_result(call);
  }
}

int udp_close(NativeCall& call) {
  Udp& udp = **static_cast<Udp**>(call.check_userdata(1, kUdpClass));
  udp.close();
  udp.family = -1;
  return call.result(Value::boolean(true));
}

const NativeInfo kUdpMethods[] = {
    {"bind", "Udp:bind(host: string, port: integer) -> boolean?",
     "Receives at this address; port 0: any free one, then in the field port.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task while a name is looked up.",
     udp_bind},
    {"close", "Udp:close() -> boolean",
     "Closes it.",
     udp_close},
    {"receive", "Udp:receive(timeout?: number) -> string?, string, integer",
     "Waits for a datagram: data, host, port of the sender. nil, \"timeout\", \"ETIMEDOUT\" when late.\n"
     "Raises: \"the socket is not bound\".\n"
     "Waits: parks the task.",
     udp_receive},
    {"send", "Udp:send(data: string, host: string, port: integer) -> boolean?",
     "Sends a datagram.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task while a name is looked up.",
     udp_send},
    {nullptr, nullptr, nullptr, nullptr},
};

int udp_index(NativeCall& call) {
  const Value key = call.arg(2);
  if (key.is_string() && key.string()->view() == "port") {
    const Udp& udp = check_udp(call);
    return call.result(Value::from(std::int64_t{udp.descriptor >= 0 ? own_port(udp.descriptor) : 0}));
  }
  return call.result(*table::get(call.upvalue(1).table(), key));
}

const NativeInfo kUdpMetamethods[] = {
    {"__index", "udp[key]", "Field port, and the methods of a datagram socket.", udp_index},
    {"__close", "udp:__close()", "Closes it at the end of its scope.", udp_close},
    {nullptr, nullptr, nullptr, nullptr},
};

int net_udp(NativeCall& call) {
  Table* metatable = native::class_with_methods(call.thread(), kUdpClass, kUdpMethods, kUdpMetamethods);
  push_owner(call, std::make_unique<Udp>(), metatable);
  return 1;
}

int net_resolve(NativeCall& call) {
  const std::string host(call.check_text(1));
  ResolveError unknown;
  const std::vector<Address> addresses = resolve(call.thread(), host, 0, false, &unknown);
  if (unknown) return resolve_failure(call, unknown);
  Table* list = table::make(call.heap(), static_cast<std::uint32_t>(addresses.size()));
  call.push(Value::of(list));
  std::int64_t n = 0;
  for (const Address& address : addresses) {
    table::set_integer(call.heap(), list, ++n, Value::of(string::make(call.heap(), address.host())));
  }
  return 1;
}

// daemon(task): the program does not wait for this task. For servers.
int make_daemon(NativeCall& call) {
  sched::scheduler_of(call.thread()).make_daemon(*static_cast<sched::Task*>(call.check_userdata(1, "Task")));
  return 0;
}

const NativeInfo kFunctions[] = {
    {"connect", "net.connect(host: string, port?: integer, options?: table) -> Stream?",
     "Connects to host and port, or to \"unix:/path\". Options: timeout in seconds; tls: true, or a table with ca=, cert=, "
     "key= (files), server_name=, verify=false.\n"
     "Fails: nil, message, code (ECONNREFUSED, ETIMEDOUT, ENOTFOUND ...).\n"
     "Waits: parks the task."
     R"lua(

local server = net.serve("127.0.0.1", 0, function(stream) stream:write("hello\n") end)
local stream <close> = assert(net.connect("127.0.0.1", server.port, {timeout = 10}))
print(stream:read "l")  --> hello)lua",
     net_connect},
    {"listen", "net.listen(host: string, port?: integer, options?: table) -> Listener?",
     "Listens at an address, reusable at once; port 0: any free one, then in the field port. tls: a table with cert=, key=; "
     "ca= asks clients for a certificate.\n"
     "Fails: nil, message, code (EADDRINUSE, EACCES ...).\n"
     "Waits: parks the task while a name is looked up."
     R"lua(

local listener <close> = assert(net.listen("127.0.0.1", 0))
print(listener.port > 0)  --> true)lua",
     net_listen},
    {"resolve", "net.resolve(host: string) -> table?",
     "A list of the addresses of a name.\n"
     "Fails: nil, message, code.\n"
     "Waits: parks the task."
     R"lua(

print(net.resolve("127.0.0.1")[1])  --> 127.0.0.1)lua",
     net_resolve},
    {"udp", "net.udp() -> Udp",
     "A socket for datagrams."
     R"lua(

local a <close> = net.udp()
local b <close> = net.udp()
assert(b:bind("127.0.0.1", 0))
a:send("ping", "127.0.0.1", b.port)
print((b:receive(10)))  --> ping)lua",
     net_udp},
    {nullptr, nullptr, nullptr, nullptr},
};

constexpr NativeInfo kDaemon = {"daemon", "daemon(task)", "The program does not wait for this task.", make_daemon};

}  // namespace

Table* open_net(ThreadState& thread) {
  Table* library = table::make(thread.heap(), 0, 8);
  native::add_functions(thread, library, kFunctions);
  run_script_part(thread, library, native::make(thread, &kDaemon), kServe, "=net");
  return library;
}

}  // namespace baton::stdlib
