/* The server of the convoy benchmark, as convoy.script, in C and without any lock: what the operating system alone allows. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMostThreads = 64 };

static atomic_int running;
static struct {
  _Alignas(64) atomic_llong done;
} work[kMostThreads];

static void *compute(void *me) {
  uint32_t x = 1;
  while (atomic_load_explicit(&running, memory_order_relaxed)) {
    for (int i = 0; i < 1000; ++i) {
      x = (x * 1103515245u + 12345u) & 0x7fffffff;
      __asm__ volatile("" : "+r"(x));
    }
    atomic_fetch_add_explicit(&work[(intptr_t)me].done, 1, memory_order_relaxed);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  intptr_t threads = atoi(argv[1]);
  pthread_t children[kMostThreads];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int client = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (threads > kMostThreads || connect(client, (struct sockaddr *)&address, sizeof address) != 0) return 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char command;
  while (read(client, &command, 1) == 1 && command != 'q') {
    if (command == 'p') {
      if (write(client, "p", 1) != 1) return 1;
    } else if (command == 's') {
      atomic_store(&running, 1);
      for (intptr_t i = 0; i < threads; ++i) pthread_create(&children[i], NULL, compute, (void *)i);
    } else if (command == 'e') {
      atomic_store(&running, 0);
      for (intptr_t i = 0; i < threads; ++i) pthread_join(children[i], NULL);
    } else if (command == 'c') {
      char text[24];
      long long sum = 0;
      for (int i = 0; i < threads; ++i) sum += atomic_load(&work[i].done);
      if (write(client, text, (size_t)snprintf(text, sizeof text, "%20lld", sum)) != 20) return 1;
    }
  }
  return 0;
}
