// One end of a TLS connection, without the connection: bytes that came from the network are fed in, bytes for the network
// are taken out, and in between stands what the program reads and writes. It knows no descriptor, no task, no value.
//
// Invariants
//  - A certificate is verified unless the settings say otherwise, and so is the name or address that it was asked for.
//  - Every call may leave bytes to be taken; they must be sent in the order in which they were taken.
//  - After kFailed nothing works any more, and `failure` says why.
// Owner: TlsStream. Threading: one call at a time; calls need more machine stack than a fiber promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net_tls_library.h"

namespace baton::stdlib {

// What `tls=` says, for any number of connections.
struct TlsSettings {
  bool verify = true;
  std::string authorities;  // a file of certificates to trust; "": those of the system
  std::string certificate;  // our own chain, a file; "": none
  std::string key;          // its private key; "": in the same file
  std::string server_name;  // "": the host that is connected to
};

// Settings that OpenSSL has taken.
class TlsContext {
 public:
  // Null after a failure; `error` then says what is wrong. Raises: std::bad_alloc.
  static std::shared_ptr<const TlsContext> make(const TlsSettings& settings, bool is_server, std::string* error);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  TlsContext(const TlsLibrary& library, bool is_server) noexcept : library_(library), is_server_(is_server) {}
  bool apply(const TlsSettings& settings, std::string* error);

  const TlsLibrary& library_;
  SSL_CTX* context_ = nullptr;
  bool is_server_;
  bool verify_ = true;
};

enum class TlsOutcome : std::uint8_t { kDone, kNeedsInput, kEnded, kFailed };

class TlsSession {
 public:
  // `host`: whom a client means to reach. Null if there is no memory. Raises: std::bad_alloc.
  static std::unique_ptr<TlsSession> make(std::shared_ptr<const TlsContext> context, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Bytes from the network; nothing: it has ended. Raises: nothing.
  void feed(std::string_view bytes) noexcept;
  void feed_end() noexcept;
  // Appends what is to be sent. Raises: std::bad_alloc.
  void take(std::string* bytes);

  TlsOutcome handshake();
  // At most `size` bytes; how many in `got`. kEnded: the other end said that nothing more comes.
  TlsOutcome read(char* bytes, std::size_t size, std::size_t* got);
  // All bytes. kDone or kFailed.
  TlsOutcome write(std::string_view bytes);
  // Says that nothing more will be written.
  void shut_down() noexcept;

  const std::string& failure() const noexcept { return failure_; }
  // Whether the failure is about the other end's certificate.
  bool is_untrusted() const noexcept { return is_untrusted_; }

 private:
  explicit TlsSession(std::shared_ptr<const TlsContext> context) noexcept;
  bool open(const std::string& host);
  bool expect_name(const std::string& host);
  TlsOutcome outcome_of(int result);

  std::shared_ptr<const TlsContext> context_;
  const TlsLibrary& library_;
  SSL* session_ = nullptr;
  BIO* incoming_ = nullptr;  // owned by the session
  BIO* outgoing_ = nullptr;
  std::string failure_;
  bool is_untrusted_ = false;
};

}  // namespace baton::stdlib
