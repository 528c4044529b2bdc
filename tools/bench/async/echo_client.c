// Load for an echo server: echo_client PORT CONNECTIONS SECONDS [RATE]: messages/s and the round trip's p50 and p99 in us.
// One epoll loop in a process of its own. Without a rate each connection sends again as soon as its answer is there; with one
// (messages/s over all connections) they are sent at fixed times; if all connections wait for answers then, that counts as
// waiting, but not how much too late the system wakes this process.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMessage = 64, kEvents = 256, kMostTimes = 20000000 };

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_value(const void* a, const void* b) {
  const float x = *(const float*)a, y = *(const float*)b;
  return (x > y) - (x < y);
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static int connect_to(int port, int poller, int index) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(0x7f000001u + ((uint32_t)index / 20000u << 8));  // local ports are not enough for all
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0) fail("connect");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  return fd;
}

static int poller, count, *fds, *missing;
static int64_t* sent_at;

static void send_one(int index, int64_t at) {
  static const char message[kMessage];
  sent_at[index] = at;
  missing[index] = kMessage;
  if (send(fds[index], message, kMessage, MSG_NOSIGNAL) != kMessage) fail("send");
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  count = atoi(argv[2]);
  const int64_t length = (int64_t)(atof(argv[3]) * 1e9);
  const double interval = argc > 4 ? 1e9 / atof(argv[4]) : 0;
  poller = epoll_create1(0);
  fds = calloc((size_t)count, sizeof *fds);
  missing = calloc((size_t)count, sizeof *missing);
  sent_at = calloc((size_t)count, sizeof *sent_at);
  int* idle = calloc((size_t)count, sizeof *idle);
  float* times = malloc(kMostTimes * sizeof *times);
  long done = 0;
  int idle_count = 0, starved = 0;
  for (int i = 0; i < count; ++i) {
    fds[i] = connect_to(atoi(argv[1]), poller, i);
    if (interval != 0) idle[idle_count++] = i;
  }
  const int64_t began = now_ns();
  double next_at = (double)began;
  if (interval == 0) {
    for (int i = 0; i < count; ++i) send_one(i, now_ns());
  }
  int64_t now = began;
  while (now < began + length && done < kMostTimes) {
    int64_t timeout_ns = 1000000000;
    if (interval != 0) {
      for (; idle_count > 0 && next_at <= (double)now; next_at += interval) {
        send_one(idle[--idle_count], starved ? (int64_t)next_at : now);
      }
      starved = next_at <= (double)now;
      if (!starved) timeout_ns = (int64_t)next_at - now;
    }
    const struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    struct epoll_event events[kEvents];
    const int ready = epoll_pwait2(poller, events, kEvents, &timeout, NULL);
    now = now_ns();
    for (int i = 0; i < ready; ++i) {
      const int index = (int)events[i].data.u32;
      char bytes[4096];
      const ssize_t got = recv(fds[index], bytes, sizeof bytes, 0);
      if (got <= 0) fail("recv");
      missing[index] -= (int)got;
      if (missing[index] > 0) continue;
      const int64_t arrived = now_ns();
      times[done++] = (float)(arrived - sent_at[index]);
      if (interval == 0) send_one(index, arrived);
      else idle[idle_count++] = index;
    }
  }
  if (done == 0) return 1;
  qsort(times, (size_t)done, sizeof *times, by_value);
  printf("%.0f\t%.0f\t%.0f\n", (double)done / ((double)(now - began) * 1e-9), times[done / 2] * 1e-3,
         times[(long)((double)done * 0.99)] * 1e-3);
}
