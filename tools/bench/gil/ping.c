/* The pinging client of the convoy benchmark: a process of its own, so that its load and its clock are not the server's.
 *
 *   ping [-l FILE] [-n] THREADS SECONDS ROUNDS SERVER... [-- ARGUMENT]
 *
 * It runs SERVER THREADS PORT [ARGUMENT], which connects to that port of this machine. It tells the server by single bytes what
 * to do: 'p' answer with one byte; 's' start the computing threads; 'e' end them; 'c' answer with how much they have done, 20
 * characters; 'q' end. The machine's speed changes by the second, so all that is compared takes turns in pieces of 100 ms: two
 * with pings and no computing threads, then these start, and without pings, with, with, without; as often as needed for SECONDS of
 * pings each way. What counts for the work is the median over such groups of that with pings as a part of that without. A ping
 * leaves every millisecond, or as soon as the answer before has come, and counts from when it left: one that could not leave in
 * time is not made up for, so a server that takes 5 ms for each shows 5 ms. With -l the pings beside computing
 * threads are written to FILE: when each was sent and answered, in seconds of the monotonic clock. With -n no pings are sent
 * beside computing threads: what the measure of their work gives where nothing differs. Prints for each round
 *
 *   idle p50, p99, busy p50, p99, p99.9, longest (all in microseconds), work per second without pings, part kept with them
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPeriodNs = 1000000, kMost = 1000000, kPieceNs = 100000000, kMostGroups = 1000 };

static int server;
static int64_t idle_times[kMost], busy_times[kMost];
static FILE *ping_log;
static int no_pings;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t at) {
  struct timespec when = {at / 1000000000, at % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
  }
}

static void fail(const char *what) {
  fprintf(stderr, "ping: %s: %s\n", what, errno != 0 ? strerror(errno) : "the server has ended");
  exit(1);
}

static void tell(char command) {
  if (write(server, &command, 1) != 1) fail("write");
}

static void hear(char *answer, size_t size) {
  size_t got = 0;
  while (got < size) {
    errno = 0;
    ssize_t n = read(server, answer + got, size - got);
    if (n <= 0) fail("read");
    got += (size_t)n;
  }
}

static int64_t work_done(void) {
  char text[21] = {0};
  tell('c');
  hear(text, 20);
  return strtoll(text, NULL, 10);
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

/* Pings for so long; the reply times are added to the `count` in `times`. Returns how many there are then. */
static int ping(int64_t duration, int64_t *times, int count, FILE *list) {
  int64_t began = now_ns(), next = began, answered = began;
  char byte;
  while (next < began + duration && count < kMost) {
    sleep_until(next);
    int64_t sent = now_ns();
    tell('p');
    hear(&byte, 1);
    answered = now_ns();
    times[count++] = answered - sent;
    if (list != NULL) fprintf(list, "%.9f %.9f\n", (double)sent / 1e9, (double)answered / 1e9);
    next += kPeriodNs;
    if (next < answered) next = answered;
  }
  return count;
}

static void sort_times(int64_t *times, int count) { qsort(times, (size_t)count, sizeof times[0], ascending); }

/* Work per second of the computing threads for the length of a piece: with pings, if `count` is not null. */
static double work_for(int *count) {
  int64_t began = now_ns(), before = work_done();
  if (count != NULL && !no_pings) {
    *count = ping(kPieceNs, busy_times, *count, ping_log);
  } else {
    sleep_until(began + kPieceNs);
  }
  int64_t work = work_done() - before;
  return (double)work * 1e9 / (double)(now_ns() - began);
}

static int ascending_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double *list, int count) {
  qsort(list, (size_t)count, sizeof list[0], ascending_doubles);
  return count % 2 == 1 ? list[count / 2] : (list[count / 2 - 1] + list[count / 2]) / 2;
}

static double at(const int64_t *times, int count, double part) {
  int place = (int)((double)count * part);
  if (count == 0) return 0;
  return (double)times[place < count ? place : count - 1] / 1000.0;
}

/* Runs the server and lets it connect. */
static void start(char **command, char *threads) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &size) != 0) fail("getsockname");
  char port[16], *arguments[16] = {0};
  snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
  int count = 0;
  while (count < 12 && command[count] != NULL && strcmp(command[count], "--") != 0) {
    arguments[count] = command[count];
    ++count;
  }
  char **rest = command[count] != NULL ? command + count + 1 : command + count;
  arguments[count++] = threads;
  arguments[count++] = port;
  if (*rest != NULL) arguments[count] = *rest;
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0UL, 0UL, 0UL);
    execvp(arguments[0], arguments);
    perror(arguments[0]);
    _exit(127);
  }
  alarm(20); /* for a server that does not come */
  server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (server < 0) fail("accept");
  alarm(0);
  close(listener);
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "-l") == 0) {
    ping_log = fopen(argv[2], "w");
    if (ping_log == NULL) fail(argv[2]);
    argv += 2;
    argc -= 2;
  }
  if (argc > 1 && strcmp(argv[1], "-n") == 0) {
    no_pings = 1;
    ++argv;
    --argc;
  }
  if (argc < 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  int threads = atoi(argv[1]);
  start(argv + 4, argv[1]);
  int64_t duration = (int64_t)(atof(argv[2]) * 1e9);
  for (int round = atoi(argv[3]); round > 0; --round) {
    static double alone[kMostGroups], kept[kMostGroups];
    int groups = 0, idle = 0, busy = 0;
    ping(kPieceNs / 2, idle_times, 0, NULL);
    while (groups < kMostGroups && groups * 2 * (int64_t)kPieceNs < duration) {
      (void)work_done(); /* so the threads have ended */
      sleep_until(now_ns() + 20000000);
      idle = ping(2 * (int64_t)kPieceNs, idle_times, idle, NULL);
      if (threads > 0) tell('s');
      sleep_until(now_ns() + 60000000);
      double before = work_for(NULL), with = work_for(&busy), again = work_for(&busy), after = work_for(NULL);
      alone[groups] = (before + after) / 2;
      kept[groups] = alone[groups] > 0 ? (with + again) / 2 / alone[groups] : 0;
      ++groups;
      if (threads > 0) tell('e');
    }
    sort_times(idle_times, idle);
    sort_times(busy_times, busy);
    printf("%.1f %.1f ", at(idle_times, idle, 0.5), at(idle_times, idle, 0.99));
    printf("%.1f %.1f %.1f %.1f ", at(busy_times, busy, 0.5), at(busy_times, busy, 0.99), at(busy_times, busy, 0.999), at(busy_times, busy, 1.0));
    printf("%.1f %.4f\n", median(alone, groups), median(kept, groups));
    fflush(stdout);
  }
  tell('q');
  while (wait(NULL) < 0 && errno == EINTR) { /* it may have something to write */
  }
  if (ping_log != NULL) fclose(ping_log);
  return 0;
}
