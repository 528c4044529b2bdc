#include "signals.h"

#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "host/script.h"

namespace baton::program {
namespace {

// What the handlers reach. A signal belongs to the process, so this is the one place where a global is right.
std::atomic<ThreadState*> interrupted_thread{nullptr};
std::atomic<ThreadState*> limited_thread{nullptr};
std::atomic<ThreadState*> dumped_thread{nullptr};
std::atomic<int> alarms{0};
std::atomic<bool> keeps_interrupts{false};
std::atomic<bool> interrupt_came{false};

constexpr suseconds_t kAlarmIntervalUs = 100'000;
constexpr int kAlarmsOfGrace = 10;

extern "C" void on_interrupt(int signal_number) {
  if (!keeps_interrupts.load(std::memory_order_relaxed)) std::signal(signal_number, SIG_DFL);
  if (ThreadState* thread = interrupted_thread.load(std::memory_order_relaxed)) {
    interrupt_came.store(true, std::memory_order_relaxed);
    host::interrupt(*thread, kInterruptSignal);
  }
}

// The first alarms raise an error in the main task; a program that catches it for longer than the grace period is ended.
extern "C" void on_time_limit(int) {
  if (alarms.fetch_add(1, std::memory_order_relaxed) >= kAlarmsOfGrace) {
    static constexpr char kMessage[] = "baton: time limit exceeded\n";
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
    _exit(EXIT_FAILURE);
  }
  if (ThreadState* thread = limited_thread.load(std::memory_order_relaxed)) host::interrupt(*thread, kInterruptCancel);
}

// What every task does, to standard error; the program goes on.
extern "C" void on_dump_request(int) {
  if (ThreadState* thread = dumped_thread.load(std::memory_order_relaxed)) host::interrupt(*thread, kInterruptDump);
}

void install(int signal_number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_ONSTACK;
  sigaction(signal_number, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard(ThreadState& main_thread) {
  interrupted_thread.store(&main_thread, std::memory_order_relaxed);
  install(SIGINT, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  if (!keeps_interrupts.load(std::memory_order_relaxed)) install(SIGINT, SIG_DFL);
  interrupted_thread.store(nullptr, std::memory_order_relaxed);
}

bool was_interrupted() { return interrupt_came.load(std::memory_order_relaxed); }

void answer_dump_requests(ThreadState& main_thread) {
  dumped_thread.store(&main_thread, std::memory_order_relaxed);
  install(SIGQUIT, on_dump_request);
}

void ignore_dump_requests() { dumped_thread.store(nullptr, std::memory_order_relaxed); }


void keep_interrupts(bool keep) {
  keeps_interrupts.store(keep, std::memory_order_relaxed);
  install(SIGINT, keep ? on_interrupt : SIG_DFL);
}

void start_time_limit(ThreadState& main_thread, double seconds) {
  main_thread.cancel_reason = Value::of(string::make(main_thread.heap(), "time limit exceeded"));
  limited_thread.store(&main_thread, std::memory_order_relaxed);
  install(SIGALRM, on_time_limit);
  double whole = std::floor(seconds);
  itimerval timer = {};
  timer.it_value.tv_sec = static_cast<time_t>(whole);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - whole) * 1e6);
  if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0) timer.it_value.tv_usec = 1;
  timer.it_interval.tv_usec = kAlarmIntervalUs;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace baton::program
