// Makes Abseil's locks visible to ThreadSanitizer. Debian's libabsl is not built with it, so a
// mutex held is nothing to it and every guarded member looks like a race. The functions here take
// the place of the library's (a program's symbols win over those of its shared libraries, also for
// the calls that libgrpc makes): each says what happens and calls the library's own. Linked whole
// into every program of a TSan build (CMakeLists.txt), compiled without instrumentation.
//
// What is lost: conditions given to Await and LockWhen run unobserved (under the lock, on any
// thread that releases it).
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/base/options.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

#define COPPICE_TEXT_OF(x) #x
#define COPPICE_TEXT(x) COPPICE_TEXT_OF(x)

namespace {

// The library's function behind ours. `prefix` is _ZN, or _ZNK for a const member; `name` is
// mangled from the class on.
void* Next(const char* prefix, const char* name) {
  std::string symbol = std::string(prefix) + "4absl";
#if ABSL_OPTION_USE_INLINE_NAMESPACE
  const std::string version = COPPICE_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  symbol += std::to_string(version.size()) + version;
#endif
  symbol += name;
  void* found = dlsym(RTLD_NEXT, symbol.c_str());
  if (found != nullptr) return found;
  std::fprintf(stderr,
               "tsan_absl: no %s in Abseil's libraries; adapt tests/sanitizers/tsan_absl.cc to "
               "their version\n",
               symbol.c_str());
  std::abort();
}

template <typename Function>
Function* NextMember(const char* name) {
  return reinterpret_cast<Function*>(Next("_ZN", name));
}
template <typename Function>
Function* NextConstMember(const char* name) {
  return reinterpret_cast<Function*>(Next("_ZNK", name));
}

// True for the first of our functions on this thread's stack. The library calls some of its own
// functions through their symbols (AwaitWithTimeout calls AwaitWithDeadline), and so ours: those
// are not to be told twice.
class Outermost {
 public:
  Outermost() : is_(depth_++ == 0) {}
  ~Outermost() { --depth_; }
  Outermost(const Outermost&) = delete;
  Outermost& operator=(const Outermost&) = delete;
  explicit operator bool() const { return is_; }

 private:
  static thread_local int depth_;
  const bool is_;
};
thread_local int Outermost::depth_ = 0;

class Locking {
 public:
  Locking(absl::Mutex* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    if (outermost_) __tsan_mutex_pre_lock(mutex_, flags_);
  }
  ~Locking() {
    if (outermost_) __tsan_mutex_post_lock(mutex_, flags_, 0);
  }
  Locking(const Locking&) = delete;
  Locking& operator=(const Locking&) = delete;

  bool Tried(bool locked) {
    if (!locked) flags_ |= __tsan_mutex_try_lock_failed;
    return locked;
  }

 private:
  const Outermost outermost_;
  absl::Mutex* const mutex_;
  unsigned flags_;
};

class Unlocking {
 public:
  Unlocking(absl::Mutex* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    if (outermost_) __tsan_mutex_pre_unlock(mutex_, flags_);
  }
  ~Unlocking() {
    if (outermost_) __tsan_mutex_post_unlock(mutex_, flags_);
  }
  Unlocking(const Unlocking&) = delete;
  Unlocking& operator=(const Unlocking&) = delete;

 private:
  const Outermost outermost_;
  absl::Mutex* const mutex_;
  const unsigned flags_;
};

// A call that releases the lock, waits, and comes back with it held. Until the end nothing this
// thread does is looked at: conditions run here under a lock that the tool believes free. (A wait
// under a reader lock has no such caller here.)
class Waiting {
 public:
  explicit Waiting(absl::Mutex* mutex) : mutex_(mutex) {
    if (outermost_) __tsan_mutex_pre_unlock(mutex_, 0);
  }
  ~Waiting() {
    if (!outermost_) return;
    __tsan_mutex_post_unlock(mutex_, 0);
    __tsan_mutex_pre_lock(mutex_, 0);
    __tsan_mutex_post_lock(mutex_, 0, 0);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  const Outermost outermost_;
  absl::Mutex* const mutex_;
};

// Where Notification keeps the flag that its inline HasBeenNotified reads.
const char* FlagOf(const absl::Notification* notification) {
  static_assert(sizeof(absl::Notification) == 2 * sizeof(absl::Mutex), "a mutex, then the flag");
  return reinterpret_cast<const char*>(notification) + sizeof(absl::Mutex);
}
void* Untyped(const void* address) { return const_cast<void*>(address); }

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  static auto* const real = NextMember<void(Mutex*)>("5MutexD1Ev");
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
  real(this);
}

void Mutex::Lock() {
  static auto* const real = NextMember<void(Mutex*)>("5Mutex4LockEv");
  const Locking locking(this, 0);
  real(this);
}

void Mutex::Unlock() {
  static auto* const real = NextMember<void(Mutex*)>("5Mutex6UnlockEv");
  const Unlocking unlocking(this, 0);
  real(this);
}

bool Mutex::TryLock() {
  static auto* const real = NextMember<bool(Mutex*)>("5Mutex7TryLockEv");
  Locking locking(this, __tsan_mutex_try_lock);
  return locking.Tried(real(this));
}

void Mutex::ReaderLock() {
  static auto* const real = NextMember<void(Mutex*)>("5Mutex10ReaderLockEv");
  const Locking locking(this, __tsan_mutex_read_lock);
  real(this);
}

void Mutex::ReaderUnlock() {
  static auto* const real = NextMember<void(Mutex*)>("5Mutex12ReaderUnlockEv");
  const Unlocking unlocking(this, __tsan_mutex_read_lock);
  real(this);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = NextMember<bool(Mutex*)>("5Mutex13ReaderTryLockEv");
  Locking locking(this, __tsan_mutex_try_read_lock);
  return locking.Tried(real(this));
}

void Mutex::LockWhen(const Condition& condition) {
  static auto* const real =
      NextMember<void(Mutex*, const Condition&)>("5Mutex8LockWhenERKNS0_9ConditionE");
  const Locking locking(this, 0);
  real(this, condition);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const Locking locking(this, 0);
  return real(this, condition, timeout);
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Time)>(
      "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const Locking locking(this, 0);
  return real(this, condition, deadline);
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  static auto* const real =
      NextMember<void(Mutex*, const Condition&)>("5Mutex14ReaderLockWhenERKNS0_9ConditionE");
  const Locking locking(this, __tsan_mutex_read_lock);
  real(this, condition);
}

bool Mutex::ReaderLockWhenWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const Locking locking(this, __tsan_mutex_read_lock);
  return real(this, condition, timeout);
}

bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Time)>(
      "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const Locking locking(this, __tsan_mutex_read_lock);
  return real(this, condition, deadline);
}

void Mutex::Await(const Condition& condition) {
  static auto* const real =
      NextMember<void(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  const Waiting waiting(this);
  real(this, condition);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Duration)>(
      "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const Waiting waiting(this);
  return real(this, condition, timeout);
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static auto* const real = NextMember<bool(Mutex*, const Condition&, Time)>(
      "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const Waiting waiting(this);
  return real(this, condition, deadline);
}

void CondVar::Wait(Mutex* mutex) {
  static auto* const real = NextMember<void(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  const Waiting waiting(mutex);
  real(this, mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const real = NextMember<bool(CondVar*, Mutex*, Duration)>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  const Waiting waiting(mutex);
  return real(this, mutex, timeout);
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static auto* const real =
      NextMember<bool(CondVar*, Mutex*, Time)>("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  const Waiting waiting(mutex);
  return real(this, mutex, deadline);
}

// A notification that has come is seen by reading its flag alone, without the mutex.
void Notification::Notify() {
  static auto* const real = NextMember<void(Notification*)>("12Notification6NotifyEv");
  __tsan_release(Untyped(FlagOf(this)));
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real =
      NextConstMember<void(const Notification*)>("12Notification19WaitForNotificationEv");
  real(this);
  __tsan_acquire(Untyped(FlagOf(this)));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = NextConstMember<bool(const Notification*, Duration)>(
      "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = real(this, timeout);
  if (notified) __tsan_acquire(Untyped(FlagOf(this)));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const real = NextConstMember<bool(const Notification*, Time)>(
      "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = real(this, deadline);
  if (notified) __tsan_acquire(Untyped(FlagOf(this)));
  return notified;
}

// All but the last decrement touch an atomic alone.
bool BlockingCounter::DecrementCount() {
  static auto* const real =
      NextMember<bool(BlockingCounter*)>("15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return real(this);
}

void BlockingCounter::Wait() {
  static auto* const real = NextMember<void(BlockingCounter*)>("15BlockingCounter4WaitEv");
  real(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
