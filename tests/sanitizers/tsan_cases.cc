// Small programs for tsan_control_test.cc: each case is right or has one race, as its name says.
// Every `racy` case is a slip that could be made in this project's code; beside it stands the same
// code without the slip.
//   tsan_cases CASE       exit code 66 when ThreadSanitizer reports something
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"

namespace {

// Holds `parties` threads until all are here, and orders nothing between them: what follows runs at
// once on each.
class Start {
 public:
  explicit Start(int parties) : missing_(parties) {}
  void Arrive() {
    missing_.fetch_sub(1, std::memory_order_relaxed);
    while (missing_.load(std::memory_order_relaxed) > 0) std::this_thread::yield();
  }

 private:
  std::atomic<int> missing_;
};

void OnTwoThreads(const std::function<void()>& first, const std::function<void()>& second) {
  Start start(2);
  std::thread one([&] { start.Arrive(), first(); });
  std::thread two([&] { start.Arrive(), second(); });
  one.join();
  two.join();
}

// Two threads of one Executor.
void OnExecutor(const std::function<void()>& work) {
  Start start(2);
  coppice::Executor executor(2);
  for (int i = 0; i < 2; ++i) {
    executor.Add([&] {
      start.Arrive();
      work();
    });
  }
  executor.Shutdown();
}

int shared = 0;
absl::Mutex mutex, other_mutex;

void Increment() { ++shared; }
void IncrementLocked() {
  absl::MutexLock lock(&mutex);
  ++shared;
}
void IncrementUnderOther() {
  absl::MutexLock lock(&other_mutex);
  ++shared;
}
void IncrementUnderReaderLock() {
  absl::ReaderMutexLock lock(&mutex);
  ++shared;
}
void ReadUnderReaderLock() {
  absl::ReaderMutexLock lock(&mutex);
  if (shared == 1000) std::puts("a thousand");
}

// One thread changes state and says so, another waits for it; `late` is changed once more behind
// the signal.
void Await(bool late) {
  bool ready = false;
  OnTwoThreads(
      [&] {
        shared = 1;
        {
          absl::MutexLock lock(&mutex);
          ready = true;
        }
        if (late) shared = 2;
      },
      [&] {
        {
          absl::MutexLock lock(&mutex);
          mutex.Await(absl::Condition(&ready));
        }
        ++shared;
      });
}
void AwaitTimed() {
  bool ready = false;
  OnTwoThreads(
      [&] {
        shared = 1;
        absl::MutexLock lock(&mutex);
        ready = true;
      },
      [&] {
        absl::MutexLock lock(&mutex);
        while (!mutex.AwaitWithTimeout(absl::Condition(&ready), absl::Microseconds(100))) {
        }
        ++shared;
      });
}
// A change before a wait is not safe during it.
void UnlockedAcrossAwait() {
  bool never = false;
  OnTwoThreads(
      [&] {
        absl::MutexLock lock(&mutex);
        mutex.AwaitWithTimeout(absl::Condition(&never), absl::Milliseconds(1));
        ++shared;
      },
      Increment);
}
void CondVar(bool late) {
  absl::CondVar changed;
  bool ready = false;
  OnTwoThreads(
      [&] {
        shared = 1;
        {
          absl::MutexLock lock(&mutex);
          ready = true;
          changed.Signal();
        }
        if (late) shared = 2;
      },
      [&] {
        {
          absl::MutexLock lock(&mutex);
          while (!ready) changed.WaitWithTimeout(&mutex, absl::Milliseconds(100));
        }
        ++shared;
      });
}
void Notified(bool late) {
  absl::Notification done;
  OnTwoThreads(
      [&] {
        shared = 1;
        done.Notify();
        if (late) shared = 2;
      },
      [&] {
        done.WaitForNotification();
        ++shared;
      });
}
void SeenNotified() {
  absl::Notification done;
  OnTwoThreads(
      [&] {
        shared = 1;
        done.Notify();
      },
      [&] {
        while (!done.HasBeenNotified()) std::this_thread::yield();
        ++shared;
      });
}
void Counted() {
  absl::BlockingCounter counter(2);
  int results[2] = {};
  Start start(2);
  std::thread one([&] { start.Arrive(), results[0] = 1, counter.DecrementCount(); });
  std::thread two([&] { start.Arrive(), results[1] = 1, counter.DecrementCount(); });
  counter.Wait();
  shared = results[0] + results[1];
  one.join();
  two.join();
}
// Runs on the clock's thread while this thread does the same.
void Timer(const std::function<void()>& work) {
  Start start(2);
  absl::Notification done;
  coppice::Clock::Real()->Schedule(absl::ZeroDuration(), [&] {
    start.Arrive();
    work();
    done.Notify();
  });
  start.Arrive();
  work();
  done.WaitForNotification();
}
void TryLocks() {
  const auto work = [] {
    while (!mutex.TryLock()) std::this_thread::yield();
    ++shared;
    mutex.Unlock();
  };
  OnTwoThreads(work, work);
}

struct Case {
  const char* name;
  std::function<void()> run;
};

const Case kCases[] = {
    {"racy_threads", [] { OnTwoThreads(Increment, Increment); }},
    {"right_threads", [] { OnTwoThreads(IncrementLocked, IncrementLocked); }},
    {"racy_one_side_locked", [] { OnTwoThreads(IncrementLocked, Increment); }},
    {"racy_two_mutexes", [] { OnTwoThreads(IncrementLocked, IncrementUnderOther); }},
    {"racy_write_under_reader_lock",
     [] { OnTwoThreads(IncrementUnderReaderLock, IncrementUnderReaderLock); }},
    {"right_reader_lock", [] { OnTwoThreads(IncrementLocked, ReadUnderReaderLock); }},
    {"right_try_lock", TryLocks},
    {"racy_executor", [] { OnExecutor(Increment); }},
    {"right_executor", [] { OnExecutor(IncrementLocked); }},
    {"racy_timer", [] { Timer(Increment); }},
    {"right_timer", [] { Timer(IncrementLocked); }},
    {"racy_await", [] { Await(true); }},
    {"right_await", [] { Await(false); }},
    {"right_await_timed", AwaitTimed},
    {"racy_across_await", UnlockedAcrossAwait},
    {"racy_condvar", [] { CondVar(true); }},
    {"right_condvar", [] { CondVar(false); }},
    {"racy_notification", [] { Notified(true); }},
    {"right_notification", [] { Notified(false); }},
    {"right_notification_flag", SeenNotified},
    {"right_blocking_counter", Counted},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    for (const Case& entry : kCases) std::puts(entry.name);
    return 0;
  }
  for (const Case& entry : kCases) {
    if (std::strcmp(entry.name, argv[1]) != 0) continue;
    entry.run();
    return 0;
  }
  std::fprintf(stderr, "tsan_cases: no case %s\n", argv[1]);
  return 2;
}
