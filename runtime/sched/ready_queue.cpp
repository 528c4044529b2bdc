#include "sched/ready_queue.h"

#include <utility>

namespace baton::sched {

void ReadyQueue::reserve(std::size_t count) {
  if (count <= mask_ + 1) return;
  std::size_t capacity = mask_ + 1;
  while (capacity < count) capacity *= 2;
  std::unique_ptr<Task*[]> ring(new Task*[capacity]);
  const std::size_t tasks = size();
  for (std::size_t i = 0; i < tasks; ++i) ring[i] = at(i);
  ring_ = std::move(ring);
  mask_ = capacity - 1;
  first_ = 0;
  end_ = tasks;
}

void ReadyQueue::remove(Task* task) noexcept {
  std::size_t place = first_;
  while (ring_[place & mask_] != task) ++place;
  for (; place + 1 != end_; ++place) ring_[place & mask_] = ring_[(place + 1) & mask_];
  --end_;
}

}  // namespace baton::sched
