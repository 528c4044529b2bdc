#include "loop/pool_work.h"

#include <uv.h>

#include "loop/event_loop.h"
#include "sched/native_thread.h"
#include "sched/scheduler.h"
#include "sync/released.h"
#include "value/error.h"

namespace baton::loop {
namespace {

// One job in the pool. Kept by the pool until `end`, and by the task that waits.
struct Request {
  uv_work_t work{};
  std::shared_ptr<PoolJob> job;
  std::shared_ptr<Request> self;  // the pool's share
  EventLoop* loop = nullptr;
  sched::WaitQueue waiters;
  bool ended = false;
};

void begin(uv_work_t* work) { static_cast<Request*>(work->data)->job->run(); }

void end(uv_work_t* work, int) {
  auto& request = *static_cast<Request*>(work->data);
  request.ended = true;
  request.loop->end_request();
  request.waiters.wake_all();
  request.self.reset();  // may be the end of it
}

// A task that leaves early takes work back that has not begun.
class Waiting {
 public:
  explicit Waiting(Request& request) noexcept : request_(request) {}
  ~Waiting() {
    if (!request_.ended) uv_cancel(reinterpret_cast<uv_req_t*>(&request_.work));
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Request& request_;
};

bool is_alone(ThreadState& thread) noexcept {
  const sched::Scheduler& scheduler = sched::scheduler_of(thread);
  return scheduler.task_count() == 0 && (scheduler.events() == nullptr || !scheduler.events()->is_active());
}

}  // namespace

void run_in_pool(ThreadState& thread, const std::shared_ptr<PoolJob>& job, const char* what, bool needs_stack) {
  sched::before_wait(thread);
  if (!needs_stack && is_alone(thread)) {
    const Released released(thread.shared.gil, thread.gil_slot, what);
    job->run();
    return;
  }
  sched::refuse_where_waiting_is_forbidden(thread);
  EventLoop& loop = EventLoop::of(thread);
  const auto request = std::make_shared<Request>();
  request->job = job;
  request->self = request;
  request->loop = &loop;
  request->work.data = request.get();
  if (uv_queue_work(loop.libuv(), &request->work, begin, end) != 0) {
    request->self.reset();
    raise(ErrorId::kMemory);
  }
  loop.begin_request();
  const Waiting waiting(*request);
  sched::Waiter waiter(thread);
  request->waiters.push(waiter);
  (void)sched::wait(thread, waiter, kNoDeadline, what);
}

}  // namespace baton::loop
