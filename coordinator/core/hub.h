#ifndef COPPICE_COORDINATOR_CORE_HUB_H_
#define COPPICE_COORDINATOR_CORE_HUB_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/coordinator.h"

namespace coppice::core {

// Purpose: notifies watchers of committed changes, in commit order. Summaries are read from the
// store when they are due, at most one a second for each sweep; the last one comes at once. Owner:
// the coordinator, by shared_ptr (timers hold it weakly). Thread-safe. One thread of the hub runs
// the callbacks, one at a time.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  static constexpr absl::Duration kSummaryInterval = absl::Seconds(1);
  static constexpr size_t kMaxPending = 20'000;

  Hub(Store* store, Clock* clock, const Memory* memory)
      : store_(*store), clock_(*clock), memory_(*memory), delivery_(1, memory->options.runner) {}

  std::unique_ptr<Subscription> WatchSweep(SweepId id,
                                           std::function<void(const SweepChange&)> on_change);
  std::unique_ptr<Subscription> WatchLog(JobId id, std::function<void()> on_change);

  // Called by the writer after each commit. Blocks while kMaxPending changes await delivery, so
  // that they do not pile up.
  void Publish(const Effects& effects);
  // Delivers queued changes, then nothing more.
  void Shutdown();

 private:
  // One subscriber, shared with its Subscription, which ends it.
  template <typename Callback>
  struct Subscriber {
    absl::Mutex mutex;
    Callback callback;
    bool ended ABSL_GUARDED_BY(mutex) = false;
    bool running ABSL_GUARDED_BY(mutex) = false;
    std::thread::id runner ABSL_GUARDED_BY(mutex);
  };
  template <typename Callback>
  class SubscriberHandle;
  using SweepSubscriber = Subscriber<std::function<void(const SweepChange&)>>;
  using LogSubscriber = Subscriber<std::function<void()>>;
  struct Watched {
    std::vector<std::shared_ptr<SweepSubscriber>> subscribers;
    bool scheduled = false;  // a summary is on its way
    bool finishing = false;  // the last summary is queued behind the last changes
    absl::Duration last_summary = -absl::InfiniteDuration();
  };

  template <typename E, typename... Args>
  static bool Call(E& subscriber, const Args&... args);  // false: it has ended
  static bool HasEnded(SweepSubscriber& subscriber);
  void ScheduleSummary(SweepId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DeliverSummary(SweepId id, bool last);
  void DeliverFirst(SweepId id, const std::shared_ptr<SweepSubscriber>& subscriber);
  void DeliverJob(const JobRow& row);
  // Queues a delivery that counts against kMaxPending.
  void Queue(std::function<void()> deliver) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DeliverLog(JobId id);
  absl::StatusOr<SweepChange> ReadChange(SweepId id);
  std::vector<std::shared_ptr<SweepSubscriber>> SubscribersOf(SweepId id);
  static void End(SweepSubscriber& subscriber);

  Store& store_;
  Clock& clock_;
  const Memory& memory_;  // catalog and leases only
  absl::Mutex mutex_;
  size_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<SweepId, Watched> sweeps_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<JobId, std::vector<std::shared_ptr<LogSubscriber>>> logs_
      ABSL_GUARDED_BY(mutex_);
  Executor delivery_;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_HUB_H_
