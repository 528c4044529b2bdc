// Three handles: a poll of the backend descriptor, a timer for the runtime's next one, and a prepare, which before each sleep
// of the host's loop sets the timer anew and says whether the loop is to be kept alive. The runtime's timers are exact to the
// millisecond of libuv here; they are never early, because the runtime looks at its own clock.
#include "loop/host_loop.h"

#include <uv.h>

#include <algorithm>
#include <new>

namespace baton::loop {

struct HostLoop::Handles {
  uv_poll_t poll;
  uv_timer_t timer;
  uv_prepare_t prepare;
  int open = 3;
};

namespace {

template <class Handle>
uv_handle_t* as_handle(Handle& handle) noexcept {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

}  // namespace

HostLoop* HostLoop::open(uv_loop_s* loop, int descriptor, const Client& client) noexcept {
  auto* made = new (std::nothrow) HostLoop;
  auto* handles = new (std::nothrow) Handles;
  if (made == nullptr || handles == nullptr || descriptor < 0 || uv_poll_init(loop, &handles->poll, descriptor) != 0) {
    delete made;
    delete handles;
    return nullptr;
  }
  made->client_ = client;
  made->handles_ = handles;
  uv_timer_init(loop, &handles->timer);
  uv_prepare_init(loop, &handles->prepare);
  for (uv_handle_t* handle : {as_handle(handles->poll), as_handle(handles->timer), as_handle(handles->prepare)}) {
    handle->data = made;
    uv_unref(handle);
  }
  uv_poll_start(&handles->poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto* self = static_cast<HostLoop*>(handle->data);
    self->client_.turn(self->client_.context);
  });
  uv_prepare_start(&handles->prepare, [](uv_prepare_t* handle) { static_cast<HostLoop*>(handle->data)->prepare(); });
  made->prepare();  // work that is there already keeps the loop alive from the start
  return made;
}

void HostLoop::prepare() noexcept {
  if (client_.is_busy(client_.context)) uv_ref(as_handle(handles_->poll));
  else uv_unref(as_handle(handles_->poll));
  const std::int64_t timeout_ns = client_.next_timeout(client_.context);
  if (timeout_ns < 0) {
    uv_timer_stop(&handles_->timer);
    return;
  }
  const auto milliseconds = static_cast<std::uint64_t>((timeout_ns + 999'999) / 1'000'000);
  uv_timer_start(&handles_->timer, [](uv_timer_t* handle) {
    auto* self = static_cast<HostLoop*>(handle->data);
    self->client_.turn(self->client_.context);
  }, milliseconds, 0);
}

void HostLoop::close() noexcept {
  if (closed_) return;
  closed_ = true;
  for (uv_handle_t* handle : {as_handle(handles_->poll), as_handle(handles_->timer), as_handle(handles_->prepare)}) {
    uv_close(handle, [](uv_handle_t* closed) {
      auto* self = static_cast<HostLoop*>(closed->data);
      if (--self->handles_->open > 0) return;
      delete self->handles_;
      delete self;
    });
  }
}

}  // namespace baton::loop
