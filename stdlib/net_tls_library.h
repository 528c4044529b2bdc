// OpenSSL, opened when TLS is first asked for: the program is not linked with it, since that alone makes it start a
// millisecond later.
//
// Invariant: a field has the name and the type of the function it points to; all are set or there is no library.
// Owner: the process; it stays open. Threading: `tls_library` from any thread; the functions as OpenSSL says.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <string>

namespace baton::stdlib {

// Every function of the library that is used; the ones in the first list stand in libssl, the others in libcrypto.
#define BATON_TLS_SSL_FUNCTIONS(X)                                                                                        \
  X(SSL_CTX_check_private_key) X(SSL_CTX_ctrl) X(SSL_CTX_free) X(SSL_CTX_load_verify_file) X(SSL_CTX_new)                 \
  X(SSL_CTX_set_default_verify_paths) X(SSL_CTX_set_options) X(SSL_CTX_set_verify)                                         \
  X(SSL_CTX_use_PrivateKey_file) X(SSL_CTX_use_certificate_chain_file) X(SSL_ctrl) X(SSL_do_handshake) X(SSL_free)        \
  X(SSL_get0_param) X(SSL_get_error) X(SSL_get_verify_result) X(SSL_new) X(SSL_read) X(SSL_set1_host)                     \
  X(SSL_set_accept_state) X(SSL_set_bio) X(SSL_set_connect_state) X(SSL_set_hostflags) X(SSL_shutdown) X(SSL_write)       \
  X(TLS_client_method) X(TLS_server_method)
#define BATON_TLS_CRYPTO_FUNCTIONS(X)                                                                                     \
  X(BIO_ctrl) X(BIO_new) X(BIO_read) X(BIO_s_mem) X(BIO_write) X(ERR_clear_error) X(ERR_get_error)                        \
  X(ERR_reason_error_string) X(X509_VERIFY_PARAM_set1_ip_asc) X(X509_verify_cert_error_string)

struct TlsLibrary {
#define BATON_TLS_FIELD(name) decltype(&::name) name = nullptr;
  BATON_TLS_SSL_FUNCTIONS(BATON_TLS_FIELD)
  BATON_TLS_CRYPTO_FUNCTIONS(BATON_TLS_FIELD)
#undef BATON_TLS_FIELD
};

// The library, opened at the first call; null if the system has none, then `reason` says why. Raises: std::bad_alloc.
const TlsLibrary* tls_library(std::string* reason);

// What the calling thread's last failed call says, and forgets it; "" if it says nothing. Raises: std::bad_alloc.
std::string take_tls_error(const TlsLibrary& library);

}  // namespace baton::stdlib
