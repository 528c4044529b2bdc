#include "net_tls_session.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <utility>

namespace baton::stdlib {
namespace {

// The library's header has these as macros over SSL_ctrl and its like.
void require_modern_protocol(const TlsLibrary& library, SSL_CTX* context) noexcept {
  library.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, nullptr);
  library.SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, nullptr);  // an idle session keeps no buffers
  library.SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);  // so that writing never has to read
}

bool is_address(const std::string& host) noexcept {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

// ---- contexts ----

std::shared_ptr<const TlsContext> TlsContext::make(const TlsSettings& settings, bool is_server, std::string* error) {
  const TlsLibrary* library = tls_library(error);
  if (library == nullptr) return nullptr;
  std::shared_ptr<TlsContext> made(new TlsContext(*library, is_server));
  if (!made->apply(settings, error)) return nullptr;
  return made;
}

TlsContext::~TlsContext() {
  if (context_ != nullptr) library_.SSL_CTX_free(context_);
}

bool TlsContext::apply(const TlsSettings& settings, std::string* error) {
  const auto fail = [&](const std::string& what) {
    *error = what;
    const std::string reason = take_tls_error(library_);
    if (!reason.empty()) *error += ": " + reason;
    return false;
  };
  library_.ERR_clear_error();
  context_ = library_.SSL_CTX_new(is_server_ ? library_.TLS_server_method() : library_.TLS_client_method());
  if (context_ == nullptr) return fail("no TLS");
  require_modern_protocol(library_, context_);
  verify_ = settings.verify && (!is_server_ || !settings.authorities.empty());
  if (!settings.authorities.empty()) {
    if (library_.SSL_CTX_load_verify_file(context_, settings.authorities.c_str()) != 1) {
      return fail("no certificates to trust in " + settings.authorities);
    }
  } else if (!is_server_) {
    (void)library_.SSL_CTX_set_default_verify_paths(context_);
  }
  const int wanted = is_server_ ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER;
  library_.SSL_CTX_set_verify(context_, verify_ ? wanted : SSL_VERIFY_NONE, nullptr);
  if (settings.certificate.empty()) return true;
  const std::string& key = settings.key.empty() ? settings.certificate : settings.key;
  if (library_.SSL_CTX_use_certificate_chain_file(context_, settings.certificate.c_str()) != 1) {
    return fail("no certificate in " + settings.certificate);
  }
  if (library_.SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1) return fail("no private key in " + key);
  if (library_.SSL_CTX_check_private_key(context_) != 1) return fail("the key is not the certificate's");
  return true;
}

// ---- sessions ----

std::unique_ptr<TlsSession> TlsSession::make(std::shared_ptr<const TlsContext> context, const std::string& host) {
  std::unique_ptr<TlsSession> made(new TlsSession(std::move(context)));
  if (!made->open(host)) return nullptr;
  return made;
}

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context) noexcept
    : context_(std::move(context)), library_(context_->library_) {}

TlsSession::~TlsSession() {
  if (session_ != nullptr) library_.SSL_free(session_);
}

bool TlsSession::open(const std::string& host) {
  session_ = library_.SSL_new(context_->context_);
  if (session_ == nullptr) return false;
  incoming_ = library_.BIO_new(library_.BIO_s_mem());
  outgoing_ = library_.BIO_new(library_.BIO_s_mem());
  library_.SSL_set_bio(session_, incoming_, outgoing_);  // owns them now, also one that is null
  if (incoming_ == nullptr || outgoing_ == nullptr) return false;
  library_.BIO_ctrl(incoming_, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nullptr);  // empty: more will come
  if (context_->is_server_) {
    library_.SSL_set_accept_state(session_);
    return true;
  }
  library_.SSL_set_connect_state(session_);
  return expect_name(host);
}

// Names the host in the greeting, where addresses must not stand, and expects it in the certificate.
bool TlsSession::expect_name(const std::string& host) {
  const bool address = is_address(host);
  if (!address && !host.empty()) {
    library_.SSL_ctrl(session_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
  }
  if (!context_->verify_) return true;
  if (address) return library_.X509_VERIFY_PARAM_set1_ip_asc(library_.SSL_get0_param(session_), host.c_str()) == 1;
  library_.SSL_set_hostflags(session_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return library_.SSL_set1_host(session_, host.c_str()) == 1;
}

void TlsSession::feed(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const int taken = library_.BIO_write(incoming_, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
    if (taken <= 0) return;  // no memory: the record will not be whole, and reading fails
    bytes.remove_prefix(static_cast<std::size_t>(taken));
  }
}

void TlsSession::feed_end() noexcept { library_.BIO_ctrl(incoming_, BIO_C_SET_BUF_MEM_EOF_RETURN, 0, nullptr); }

void TlsSession::take(std::string* bytes) {
  for (;;) {
    const auto waiting = static_cast<std::size_t>(library_.BIO_ctrl(outgoing_, BIO_CTRL_PENDING, 0, nullptr));
    if (waiting == 0) return;
    const std::size_t before = bytes->size();
    bytes->resize(before + waiting);
    const int got = library_.BIO_read(outgoing_, bytes->data() + before, static_cast<int>(waiting));
    bytes->resize(before + static_cast<std::size_t>(std::max(got, 0)));
    if (got <= 0) return;
  }
}

// Why the last call did not do all.
TlsOutcome TlsSession::outcome_of(int result) {
  const int reason = library_.SSL_get_error(session_, result);
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return TlsOutcome::kNeedsInput;
  if (reason == SSL_ERROR_ZERO_RETURN) return TlsOutcome::kEnded;
  failure_ = take_tls_error(library_);
  const long verdict = library_.SSL_get_verify_result(session_);
  if (context_->verify_ && verdict != X509_V_OK) {
    is_untrusted_ = true;
    failure_ += std::string(": ") + library_.X509_verify_cert_error_string(verdict);
  }
  if (failure_.empty()) failure_ = "the connection ended unexpectedly";
  return TlsOutcome::kFailed;
}

TlsOutcome TlsSession::handshake() {
  library_.ERR_clear_error();
  const int result = library_.SSL_do_handshake(session_);
  return result == 1 ? TlsOutcome::kDone : outcome_of(result);
}

TlsOutcome TlsSession::read(char* bytes, std::size_t size, std::size_t* got) {
  library_.ERR_clear_error();
  const int result = library_.SSL_read(session_, bytes, static_cast<int>(size));
  if (result <= 0) return outcome_of(result);
  *got = static_cast<std::size_t>(result);
  return TlsOutcome::kDone;
}

TlsOutcome TlsSession::write(std::string_view bytes) {
  library_.ERR_clear_error();
  const int result = library_.SSL_write(session_, bytes.data(), static_cast<int>(bytes.size()));
  if (result > 0) return TlsOutcome::kDone;  // the buffer behind it grows, so all bytes were taken
  (void)outcome_of(result);
  return TlsOutcome::kFailed;
}

void TlsSession::shut_down() noexcept {
  library_.ERR_clear_error();
  (void)library_.SSL_shutdown(session_);
  library_.ERR_clear_error();
}

}  // namespace baton::stdlib
