// Addresses of sockets, and names turned into them.
//
// Invariant: an Address holds IPv4, IPv6 or a unix path. Owner: a value. Threading: resolving runs in the thread pool.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "vm/thread_state.h"

namespace baton::stdlib {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  sockaddr* any() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* any() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  std::string host() const;       // "127.0.0.1", "::1", "unix:/path"
  int port() const noexcept;      // 0 for unix paths
  void set_port(int port) noexcept;
};

// What a name could not be turned into: an errno-like name ("ENOTFOUND") and a message; empty if all is well.
struct ResolveError {
  std::string name, message;
  explicit operator bool() const noexcept { return !name.empty(); }
};

// The addresses of `host`: a numeral and "unix:/path" at once, names by the system's resolver in the thread pool.
// `passive`: to listen at; then "" and "*" mean all. Raises: cancellations, kMemory.
std::vector<Address> resolve(ThreadState& thread, std::string_view host, int port, bool passive, ResolveError* error);

}  // namespace baton::stdlib
