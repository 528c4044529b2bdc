#include "net_tls_library.h"

#include <dlfcn.h>

#include <cstring>

namespace baton::stdlib {
namespace {

constexpr const char* kSslObject = "libssl.so.3";
constexpr const char* kCryptoObject = "libcrypto.so.3";

struct Opened {
  TlsLibrary library;
  bool fine = false;
  std::string reason;
};

template <class Function>
bool find(void* object, const char* name, Function* function) noexcept {
  *function = reinterpret_cast<Function>(dlsym(object, name));
  return *function != nullptr;
}

// A look-up takes the name of the field, so that the two cannot differ.
bool find_all(void* ssl, void* crypto, TlsLibrary& library) noexcept {
#define BATON_TLS_FIND(name) &&find(ssl, #name, &library.name)
  const bool has_ssl = true BATON_TLS_SSL_FUNCTIONS(BATON_TLS_FIND);
#undef BATON_TLS_FIND
#define BATON_TLS_FIND(name) &&find(crypto, #name, &library.name)
  return has_ssl BATON_TLS_CRYPTO_FUNCTIONS(BATON_TLS_FIND);
#undef BATON_TLS_FIND
}

Opened open_library() {
  Opened opened;
  void* ssl = dlopen(kSslObject, RTLD_NOW | RTLD_LOCAL);
  void* crypto = ssl != nullptr ? dlopen(kCryptoObject, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (ssl == nullptr || crypto == nullptr) {
    const char* text = dlerror();
    opened.reason = text != nullptr ? text : kSslObject;
    return opened;
  }
  opened.fine = find_all(ssl, crypto, opened.library);
  if (!opened.fine) opened.reason = std::string(kSslObject) + " is not a version that is known";
  return opened;
}

}  // namespace

const TlsLibrary* tls_library(std::string* reason) {
  static const Opened opened = open_library();
  if (opened.fine) return &opened.library;
  *reason = opened.reason;
  return nullptr;
}

std::string take_tls_error(const TlsLibrary& library) {
  std::string text;
  const unsigned long code = library.ERR_get_error();  // the first is the cause
  if (code != 0) {
    const char* known = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code)) : library.ERR_reason_error_string(code);
    text = known != nullptr ? known : "error " + std::to_string(code);
  }
  library.ERR_clear_error();
  return text;
}

}  // namespace baton::stdlib
