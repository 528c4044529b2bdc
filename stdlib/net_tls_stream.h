// A stream that is encrypted: a TLS session between the program and a socket of ours.
//
// Invariants
//  - The greeting happens once: by `net.connect` before anybody has the stream, by the first who reads or writes on a
//    server's side. Who comes meanwhile waits for its end.
//  - What the session wants sent stands in `outgoing_` until the socket has taken it, in order; a cancelled task leaves its
//    rest to whoever sends next, so records are never torn.
//  - A failure of the session is for good: EPROTO, with its text.
// Owner: its Stream userdata. Threading: as DescriptorStream; the session runs on the native thread's own stack.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "net_stream.h"
#include "sched/wait.h"
#include "net_tls_session.h"

namespace baton::stdlib {

class TlsStream final : public DescriptorStream {
 public:
  TlsStream(int descriptor, SharedState* shared, std::unique_ptr<TlsSession> session) noexcept
      : DescriptorStream(descriptor, true, shared), session_(std::move(session)) {}
  ~TlsStream() override { close(nullptr); }

  // Greets the other end, once. Returns: 0 or an errno: ETIMEDOUT at the deadline. Raises: as fill.
  int greet(ThreadState& thread, std::int64_t deadline_ns);

  bool fill(ThreadState& thread) override;
  int write(ThreadState& thread, std::string_view bytes) override;
  int shut_down(ThreadState& thread) override;
  void close(ThreadState* thread) noexcept override;
  int push_failure(NativeCall& call, int error) const override;
  int descriptor() const noexcept override { return -1; }  // what it carries is nobody else's

 private:
  int greet_alone(ThreadState& thread, std::int64_t deadline_ns);
  int send_outgoing(ThreadState& thread, std::int64_t deadline_ns);
  // Waits for bytes for the session. Returns: 0, or an errno.
  int feed(ThreadState& thread, std::int64_t deadline_ns);

  std::unique_ptr<TlsSession> session_;
  std::string outgoing_;
  bool is_greeted_ = false;
  bool is_greeting_ = false;
  bool has_failed_ = false;  // the session
  sched::WaitQueue greeters_;
};

// Pushes what a failed session says: nil, message, "ECERT" or "ETLS". Returns: 3. Raises: kMemory.
int push_tls_failure(NativeCall& call, const std::string& failure, bool is_untrusted);

// The context that option `tls` of the table in argument `i` asks for. Null: none is wanted, or `error` says what is wrong
// with the files it names or with the library. Raises: mistakes in the options, kMemory.
std::shared_ptr<const TlsContext> read_tls_option(NativeCall& call, int i, bool is_server, std::string* server_name,
                                                  std::string* error);

}  // namespace baton::stdlib
