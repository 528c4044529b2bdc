// A session only moves bytes between buffers, so every wait of an encrypted stream is one of the socket under it, with its
// cancellation, its deadline, its errors:
//
//     read    session.read -> nothing? send what it wants sent, feed it what the socket has, wait if that is nothing
//     write   session.write -> send what came out, waiting as often as the socket asks for it
//
// Each look at the session is a visit to the native thread's own stack: verifying a chain of certificates needs more of it
// than a fiber has, and a connection that sleeps should not keep the pages of its greeting. The two switches cost 20 ns; the
// greeting's steps, which compute for a millisecond, also give the GIL up.
#include "net_tls_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <type_traits>
#include <utility>

#include "option_table.h"
#include "sched/scheduler.h"
#include "sync/released.h"
#include "thread_scratch.h"
#include "value/error.h"

namespace baton::stdlib {
namespace {

constexpr std::size_t kPlainBytesPerRound = 64 * 1024;
constexpr std::size_t kRecordBytes = 16 * 1024;

template <class Function>
void natively(ThreadState& thread, Function&& function) {
  sched::scheduler_of(thread).call_natively(
      thread, [](void* context) noexcept { (*static_cast<std::remove_reference_t<Function>*>(context))(); }, &function);
}

// While it lives, somebody greets.
class Greeting {
 public:
  Greeting(bool& flag, sched::WaitQueue& others) noexcept : flag_(flag), others_(others) { flag_ = true; }
  ~Greeting() {
    flag_ = false;
    others_.wake_all();
  }
  Greeting(const Greeting&) = delete;
  Greeting& operator=(const Greeting&) = delete;

 private:
  bool& flag_;
  sched::WaitQueue& others_;
};

}  // namespace

// Several tasks may do so at once: each sends the bytes in front, and none waits between a send and their removal.
int TlsStream::send_outgoing(ThreadState& thread, std::int64_t deadline_ns) {
  session_->take(&outgoing_);
  while (!outgoing_.empty()) {
    if (descriptor_ < 0) return EBADF;
    const long sent = put(outgoing_);
    if (sent >= 0) {
      outgoing_.erase(0, static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return errno;
    const int refusal = wait_to_put(thread, deadline_ns);
    if (refusal != 0) return refusal;
  }
  return 0;
}

int TlsStream::feed(ThreadState& thread, std::int64_t deadline_ns) {
  std::string_view bytes;
  switch (receive(thread, deadline_ns, &bytes)) {
    case Received::kBytes: session_->feed(bytes); return 0;
    case Received::kNothingYet: return 0;
    case Received::kEnd: session_->feed_end(); return 0;
    case Received::kFailed: break;
  }
  return error_;
}

int TlsStream::greet_alone(ThreadState& thread, std::int64_t deadline_ns) {
  const Greeting greeting(is_greeting_, greeters_);
  for (;;) {
    TlsOutcome outcome = TlsOutcome::kFailed;
    natively(thread, [&] {
      const Released released(thread.shared.gil, thread.gil_slot, "tls.greet");
      outcome = session_->handshake();
    });
    const int refusal = send_outgoing(thread, deadline_ns);  // a failure, too, has something to say
    if (outcome == TlsOutcome::kDone) {
      is_greeted_ = true;
      return refusal;
    }
    if (outcome != TlsOutcome::kNeedsInput) {
      has_failed_ = true;
      return EPROTO;
    }
    if (refusal != 0) return refusal;
    const int error = feed(thread, deadline_ns);
    if (error != 0) return error;
  }
}

int TlsStream::greet(ThreadState& thread, std::int64_t deadline_ns) {
  while (!is_greeted_) {
    if (has_failed_) return EPROTO;
    if (descriptor_ < 0) return EBADF;
    if (!is_greeting_) return greet_alone(thread, deadline_ns);
    sched::Waiter waiter(thread);
    greeters_.push(waiter);
    (void)sched::wait(thread, waiter, deadline_ns, "tls.greet");
  }
  return 0;
}

bool TlsStream::fill(ThreadState& thread) {
  sched::before_wait(thread);
  error_ = greet(thread, kNoDeadline);
  if (error_ != 0) return false;
  for (;;) {
    char* bytes = thread_scratch<kRecordBytes>();
    std::size_t got = 0;
    TlsOutcome outcome = TlsOutcome::kFailed;
    natively(thread, [&] { outcome = session_->read(bytes, kRecordBytes, &got); });
    if (outcome == TlsOutcome::kDone) {
      buffer_.append(bytes, got);
      error_ = 0;
      return true;
    }
    if (outcome != TlsOutcome::kNeedsInput) {
      has_failed_ = outcome == TlsOutcome::kFailed;
      error_ = has_failed_ ? EPROTO : 0;
      return false;
    }
    error_ = send_outgoing(thread, kNoDeadline);
    if (error_ == 0) error_ = feed(thread, kNoDeadline);
    if (error_ != 0) return false;
  }
}

int TlsStream::write(ThreadState& thread, std::string_view bytes) {
  sched::before_wait(thread);
  const int error = greet(thread, kNoDeadline);
  if (error != 0) return error;
  while (!bytes.empty()) {
    if (descriptor_ < 0) return EBADF;
    const std::string_view piece = bytes.substr(0, kPlainBytesPerRound);
    TlsOutcome outcome = TlsOutcome::kFailed;
    natively(thread, [&] { outcome = session_->write(piece); });
    if (outcome != TlsOutcome::kDone) {
      has_failed_ = true;
      return EPROTO;
    }
    bytes.remove_prefix(piece.size());
    const int refusal = send_outgoing(thread, kNoDeadline);
    if (refusal != 0) return refusal;
  }
  return 0;
}

int TlsStream::shut_down(ThreadState& thread) {
  const int error = greet(thread, kNoDeadline);
  if (error != 0) return error;
  natively(thread, [&] { session_->shut_down(); });
  const int refusal = send_outgoing(thread, kNoDeadline);
  return refusal != 0 ? refusal : DescriptorStream::shut_down(thread);
}

// Says goodbye if the socket takes it at once; nobody waits for that.
void TlsStream::close(ThreadState* thread) noexcept {
  if (is_closed()) return;
  if (thread != nullptr && is_greeted_ && !has_failed_ && outgoing_.empty()) {
    natively(*thread, [&] { session_->shut_down(); });
    try {
      session_->take(&outgoing_);
    } catch (const std::bad_alloc&) {  // then the other end hears of it by the socket's end
    }
    if (!outgoing_.empty()) (void)put(outgoing_);
    outgoing_.clear();
  }
  DescriptorStream::close(thread);
}

int TlsStream::push_failure(NativeCall& call, int error) const {
  if (error != EPROTO || session_->failure().empty()) return DescriptorStream::push_failure(call, error);
  return push_tls_failure(call, session_->failure(), session_->is_untrusted());
}

int push_tls_failure(NativeCall& call, const std::string& failure, bool is_untrusted) {
  const char* name = is_untrusted ? "ECERT" : "ETLS";
  call.push(Value());
  call.push_string(std::string(name) + ": " + failure);
  call.push_string(name);
  return 3;
}

// ---- options ----

namespace {

// A text in the table of option `tls`.
std::string text_in(NativeCall& call, const OptionTable& options, Table* tls, const char* name) {
  const Value v = native::get_field(call.thread(), tls, name);
  if (v.is_nil()) return "";
  if (!v.is_string()) options.mistake("tls", std::string("field '") + name + "': string expected");
  return std::string(v.string()->view());
}

void check_names(const OptionTable& options, Table* tls) {
  std::uint64_t position = 0;
  Value key, value;
  while (table::next_at(tls, position, key, value)) {
    const std::string_view name = key.is_string() ? key.string()->view() : "?";
    if (name != "verify" && name != "ca" && name != "cert" && name != "key" && name != "server_name") {
      options.mistake("tls", "unknown field '" + std::string(name) + "'");
    }
  }
}

// What most clients want, made once. Never freed: the library may be gone first.
std::shared_ptr<const TlsContext> default_context(std::string* error) {
  static const auto* known = new std::shared_ptr<const TlsContext>(TlsContext::make(TlsSettings(), false, error));
  if (*known == nullptr && error->empty()) *error = "TLS is not available";
  return *known;
}

}  // namespace

std::shared_ptr<const TlsContext> read_tls_option(NativeCall& call, int i, bool is_server, std::string* server_name,
                                                  std::string* error) {
  static constexpr const char* kAny[] = {"tls", "timeout", "limit", nullptr};
  const OptionTable options(call, i, kAny);
  const Value tls = options.get("tls");
  if (!tls.is_truthy()) return nullptr;
  TlsSettings settings;
  if (tls.is_table()) {
    check_names(options, tls.table());
    settings.authorities = text_in(call, options, tls.table(), "ca");
    settings.certificate = text_in(call, options, tls.table(), "cert");
    settings.key = text_in(call, options, tls.table(), "key");
    *server_name = text_in(call, options, tls.table(), "server_name");
    const Value verify = native::get_field(call.thread(), tls.table(), "verify");
    if (!verify.is_nil() && !verify.is_boolean()) options.mistake("tls", "field 'verify': boolean expected");
    settings.verify = verify.is_nil() || verify.is_truthy();
  } else if (!tls.is_boolean()) {
    options.mistake("tls", "boolean or table expected");
  }
  if (is_server && settings.certificate.empty()) options.mistake("tls", "a server needs 'cert' (and 'key'), files");
  const bool is_default = !is_server && settings.verify && settings.authorities.empty() && settings.certificate.empty();
  std::shared_ptr<const TlsContext> context;
  natively(call.thread(), [&] {
    try {
      context = is_default ? default_context(error) : TlsContext::make(settings, is_server, error);
    } catch (const std::bad_alloc&) {
    }
  });
  if (context == nullptr && error->empty()) raise(ErrorId::kMemory);
  return context;
}

}  // namespace baton::stdlib
