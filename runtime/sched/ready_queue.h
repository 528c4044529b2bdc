// The tasks of one native thread that can run: first in, first out, in a ring of pointers.
//
// A ring and not a list through the tasks, so that what will run soon can be asked for from memory ahead of time: following a
// list is one miss after the other.
// Invariant: it has room for every task of its scheduler (`reserve`), so pushing never fails. Owner: the Scheduler.
// Threading: under the GIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace baton::sched {

class Task;

class ReadyQueue {
 public:
  ReadyQueue() : ring_(new Task*[kInitial]) {}

  bool empty() const noexcept { return first_ == end_; }
  std::size_t size() const noexcept { return end_ - first_; }
  // The task that is `ahead` places behind the first. Takes: ahead < size().
  Task* at(std::size_t ahead) const noexcept { return ring_[(first_ + ahead) & mask_]; }
  // Makes room for `count` tasks. Raises: std::bad_alloc; then nothing has happened.
  void reserve(std::size_t count);
  void push_back(Task* task) noexcept { ring_[end_++ & mask_] = task; }
  void push_front(Task* task) noexcept { ring_[--first_ & mask_] = task; }
  // Takes: a queue that is not empty.
  Task* pop() noexcept { return ring_[first_++ & mask_]; }
  // Takes `task`, which is in it, out. O(n).
  void remove(Task* task) noexcept;

 private:
  static constexpr std::size_t kInitial = 16;
  std::unique_ptr<Task*[]> ring_;
  std::size_t mask_ = kInitial - 1;
  std::size_t first_ = 0;
  std::size_t end_ = 0;
};

}  // namespace baton::sched
