#include "sync/process_mutex.h"

#include <cerrno>

namespace baton {
namespace {

LockOutcome outcome_of(int error, pthread_mutex_t* mutex) noexcept {
  switch (error) {
    case 0: return LockOutcome::kLocked;
    case EBUSY: return LockOutcome::kBusy;
    case EOWNERDEAD: return pthread_mutex_consistent(mutex) == 0 ? LockOutcome::kOwnerDied : LockOutcome::kFailed;
    default: return LockOutcome::kFailed;
  }
}

}  // namespace

int ProcessMutex::initialise() noexcept {
  pthread_mutexattr_t attributes;
  int error = pthread_mutexattr_init(&attributes);
  if (error != 0) return error;
  error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (error == 0) error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (error == 0) error = pthread_mutex_init(&mutex_, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return error;
}

LockOutcome ProcessMutex::lock() noexcept { return outcome_of(pthread_mutex_lock(&mutex_), &mutex_); }

LockOutcome ProcessMutex::try_lock() noexcept { return outcome_of(pthread_mutex_trylock(&mutex_), &mutex_); }

void ProcessMutex::unlock() noexcept { pthread_mutex_unlock(&mutex_); }

}  // namespace baton
