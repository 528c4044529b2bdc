#include "signals.h"

#include <sys/time.h>

#include <atomic>
#include <cmath>
#include <csignal>

namespace baton::program {
namespace {

// What the handlers reach. A signal belongs to the process, so this is the one place where a global is right.
std::atomic<InterruptWord*> interrupted_word{nullptr};
std::atomic<InterruptWord*> limited_word{nullptr};

extern "C" void on_interrupt(int signal_number) {
  std::signal(signal_number, SIG_DFL);
  if (InterruptWord* word = interrupted_word.load(std::memory_order_relaxed)) word->set(kInterruptSignal);
}

extern "C" void on_time_limit(int) {
  if (InterruptWord* word = limited_word.load(std::memory_order_relaxed)) word->set(kInterruptLimit);
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
  interrupted_word.store(&main_thread.interrupt, std::memory_order_relaxed);
  install(SIGINT, on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  install(SIGINT, SIG_DFL);
  interrupted_word.store(nullptr, std::memory_order_relaxed);
}

void start_time_limit(ThreadState& main_thread, double seconds) {
  limited_word.store(&main_thread.interrupt, std::memory_order_relaxed);
  install(SIGALRM, on_time_limit);
  double whole = std::floor(seconds);
  itimerval timer = {};
  timer.it_value.tv_sec = static_cast<time_t>(whole);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - whole) * 1e6);
  if (timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0) timer.it_value.tv_usec = 1;
  timer.it_interval.tv_usec = 100'000;  // asks again while the program catches the error and goes on
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace baton::program
