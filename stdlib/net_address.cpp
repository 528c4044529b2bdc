#include "net_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "loop/pool_work.h"

namespace baton::stdlib {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

class ResolveJob final : public loop::PoolJob {
 public:
  ResolveJob(std::string_view host, bool passive) : host_(host), passive_(passive) {}
  ~ResolveJob() override {
    if (found_ != nullptr) freeaddrinfo(found_);
  }
  void run() noexcept override {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | (passive_ ? AI_PASSIVE : 0);
    code_ = getaddrinfo(host_.c_str(), nullptr, &hints, &found_);
    if (code_ == EAI_NONAME || code_ == EAI_ADDRFAMILY) {  // a machine with no network but its own
      hints.ai_flags &= ~AI_ADDRCONFIG;
      code_ = getaddrinfo(host_.c_str(), nullptr, &hints, &found_);
    }
    system_error_ = errno;
  }
  int code() const noexcept { return code_; }
  int system_error() const noexcept { return system_error_; }
  const addrinfo* found() const noexcept { return found_; }

 private:
  std::string host_;
  bool passive_;
  int code_ = 0;
  int system_error_ = 0;
  addrinfo* found_ = nullptr;
};

bool parse_numeral(const std::string& host, Address* address) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address->storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    address->length = sizeof *v4;
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address->storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    address->length = sizeof *v6;
    return true;
  }
  return false;
}

bool parse_unix(std::string_view host, Address* address) {
  const std::string_view path = host.substr(kUnixPrefix.size());
  auto* local = reinterpret_cast<sockaddr_un*>(&address->storage);
  if (path.empty() || path.size() >= sizeof local->sun_path) return false;
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, path.data(), path.size());
  address->length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return true;
}

ResolveError error_of(const ResolveJob& job, std::string_view host) {
  const char* name = "EAI_FAIL";
  switch (job.code()) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
    case EAI_ADDRFAMILY: name = "ENOTFOUND"; break;
    case EAI_AGAIN: name = "EAI_AGAIN"; break;
    case EAI_SYSTEM: name = strerrorname_np(job.system_error()); break;
    default: break;
  }
  std::string message = std::string(name) + ": " + gai_strerror(job.code()) + ": " + std::string(host);
  return {name, message};
}

}  // namespace

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text, sizeof text);
  if (family() == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, text, sizeof text);
  if (family() != AF_UNIX) return text;
  if (length <= offsetof(sockaddr_un, sun_path)) return "unix:";
  return std::string(kUnixPrefix) + reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
}

int Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

void Address::set_port(int port) noexcept {
  const auto number = htons(static_cast<std::uint16_t>(port));
  if (family() == AF_INET) reinterpret_cast<sockaddr_in*>(&storage)->sin_port = number;
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = number;
}

std::vector<Address> resolve(ThreadState& thread, std::string_view host, int port, bool passive, ResolveError* error) {
  std::vector<Address> addresses;
  Address address;
  if (host.substr(0, kUnixPrefix.size()) == kUnixPrefix) {
    if (parse_unix(host, &address)) addresses.push_back(address);
    else *error = {"ENAMETOOLONG", "ENAMETOOLONG: file name too long: " + std::string(host)};
    return addresses;
  }
  const std::string name = passive && (host.empty() || host == "*") ? "0.0.0.0" : std::string(host);
  if (parse_numeral(name, &address)) {
    address.set_port(port);
    addresses.push_back(address);
    return addresses;
  }
  const auto job = std::make_shared<ResolveJob>(name, passive);
  loop::run_in_pool(thread, job, "net.resolve", true);
  if (job->code() != 0) {
    *error = error_of(*job, host);
    return addresses;
  }
  for (const addrinfo* found = job->found(); found != nullptr; found = found->ai_next) {
    if (found->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    address.set_port(port);
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace baton::stdlib
