// A server in C++ whose behaviour is a script: it answers each line that a client sends with what handler.script makes of it.
//
//   line_server handler.script [PORT]     serves on 127.0.0.1 until it is killed
//   line_server handler.script --check    serves one client, itself, and ends
//
// What it shows: a VM with limited libraries and memory, functions of the host in a script, one native thread for each
// connection, the lock released around the system's calls, a time limit for each request, errors of scripts as answers.
#include <arpa/inet.h>
#include <baton/baton.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

using namespace std::chrono_literals;
using namespace baton::literals;

namespace {

class Server {
 public:
  explicit Server(const char* script) : vm_(configuration()) {
    vm_.bind("log", [](const std::string& text) { std::fprintf(stderr, "script: %s\n", text.c_str()); });
    vm_.bind("slow_square", [](double x) {
      std::this_thread::sleep_for(1ms);  // other connections run meanwhile
      return x * x;
    }, baton::release_gil);
    vm_.run_file(script);
  }

  std::string answer(const std::string& line) {
    const baton::Result<std::string> result = vm_.try_call<std::string>("handle", line);
    return result ? *result : "error: " + result.error().message();
  }

  void serve(int connection) {
    std::string pending;
    char block[4096];
    for (ssize_t count; (count = read(connection, block, sizeof block)) > 0;) {
      pending.append(block, static_cast<std::size_t>(count));
      for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
        const std::string reply = answer(pending.substr(0, end)) + "\n";
        if (write(connection, reply.data(), reply.size()) < 0) break;
      }
    }
    close(connection);
  }

 private:
  static baton::Config configuration() {
    baton::Config config;
    config.libs = baton::libs::safe | baton::libs::io;  // io: the script's own file is read
    config.memory_limit = 64_MiB;
    return config;
  }
  baton::VM vm_;
};

int listen_on(int port, int* actual_port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return -1;
  }
  *actual_port = ntohs(address.sin_port);
  return listener;
}

std::string ask(int port, const std::string& text) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string reply;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      write(connection, text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
    shutdown(connection, SHUT_WR);
    char block[1024];
    for (ssize_t count; (count = read(connection, block, sizeof block)) > 0;) reply.append(block, static_cast<std::size_t>(count));
  }
  close(connection);
  return reply;
}

int check(Server& server, int listener, int port) {
  std::thread serving([&] { server.serve(accept(listener, nullptr, nullptr)); });
  const std::string reply = ask(port, "hello\nsquare 12\nsquare x\nboom\n");
  serving.join();
  std::fputs(reply.c_str(), stdout);
  return reply.find("HELLO\n144.0\n") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: line_server handler.script [PORT | --check]\n", stderr);
    return EXIT_FAILURE;
  }
  const bool checks = argc > 2 && std::strcmp(argv[2], "--check") == 0;
  try {
    Server server(argv[1]);
    int port = 0;
    const int listener = listen_on(argc > 2 && !checks ? std::atoi(argv[2]) : 0, &port);
    if (listener < 0) throw baton::Error("cannot listen");
    if (checks) return check(server, listener, port);
    std::fprintf(stderr, "listening on 127.0.0.1:%d\n", port);
    for (;;) std::thread([&server, connection = accept(listener, nullptr, nullptr)] { server.serve(connection); }).detach();
  } catch (const baton::Error& error) {
    std::fprintf(stderr, "%s\n", error.traceback().empty() ? error.what() : error.traceback().c_str());
    return EXIT_FAILURE;
  }
}
