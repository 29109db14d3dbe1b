#ifndef COPPICE_COORDINATOR_POOLS_POOL_LOOP_H_
#define COPPICE_COORDINATOR_POOLS_POOL_LOOP_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "coordinator/pools/allocation_tracker.h"
#include "coordinator/pools/autoscaler.h"
#include "coordinator/pools/policy.h"
#include "coordinator/pools/probe.h"

namespace coppice::pools {

// Purpose: the autoscaler's own thread, and all state on it. Every method but Post, Bind and
// Shutdown runs there. A tick is a chain of callbacks, one after the other:
//   queue (if it is time) -> jobs that are missing -> demand -> Decide -> changed rows are stored
//   -> cancels -> submits, one by one.
// Owner: Autoscaler, by shared_ptr; callbacks hold it weakly.
class Autoscaler::Loop : public std::enable_shared_from_this<Loop> {
 public:
  static constexpr absl::Duration kTick = absl::Seconds(5);
  static constexpr absl::Duration kNudged = absl::Milliseconds(200);
  // An answer of the queue is asked for so often: while something is queued or unclear, else.
  static constexpr absl::Duration kPollWaiting = absl::Seconds(30);
  static constexpr absl::Duration kPollRunning = absl::Seconds(60);
  // And while a worker has come or gone, which the queue will explain.
  static constexpr absl::Duration kPollNews = absl::Seconds(2);
  // After a refusal for a limit of the site, no more is queued for so long.
  static constexpr absl::Duration kSiteLimit = absl::Minutes(2);
  // A longer time between two ticks is no measurement: the machine slept, or Slurm was away.
  static constexpr absl::Duration kLongestTick = absl::Minutes(1);
  // The GPU time of the sweeps is stored so often. A process counts what came before it after the
  // same time: silent workers are known as such by then.
  static constexpr absl::Duration kStoreSweepUse = absl::Minutes(1);
  static constexpr absl::Duration kLongestAbsence = absl::Minutes(10);
  static constexpr size_t kMaxShown = 5;
  static constexpr size_t kTailLines = 20;

  Loop(AutoscalerOptions options, Clock* clock, BatchSystem* batch, PoolRecords* records,
       DemandSource demand);

  // False: shut down, and the work will not run.
  bool Post(std::function<void()> work);
  void Shutdown();

  void Load();
  void Nudge();
  void NoteRegistered(const std::string& key);
  // Asks the batch system and does what is due; `done` follows the end of that.
  void TickNow(std::function<void()> done);
  RemoteCommands* remote() const { return options_.remote; }
  bool loaded() const { return loaded_; }
  AllocationTracker& tracker() { return tracker_; }
  TrackerTime Now() const;

  // Validates with `change` on a copy of the pool's row, stores it, and applies it.
  using Change = std::function<absl::Status(PoolRow* row)>;
  void ChangePool(const std::string& name, bool may_be_new, Change change, Done done);
  void Check(const PoolSpec& spec, std::optional<absl::Duration> probe_wait,
             std::function<void(absl::StatusOr<PoolCheck>)> done);
  void TakeNodeReport(const NodeReport& report,
                      const std::function<void(absl::StatusOr<NodeReportAnswer>)>& done);
  AutoscalerStatus MakeStatus() const;

  // A callback for any thread, which runs on this loop's thread, and not at all after Shutdown.
  template <typename F>
  auto Bind(F callback) {
    return [weak = weak_from_this(), callback = std::move(callback)](auto... arguments) {
      const std::shared_ptr<Loop> loop = weak.lock();
      if (loop == nullptr) return;
      loop->Post([weak, callback, arguments...]() mutable {
        if (!weak.expired()) callback(std::move(arguments)...);
      });
    };
  }

 private:
  struct PoolMemory {
    int64_t excess_since_ms = 0;
    uint32_t site_backlog = UINT32_MAX;
    absl::Duration site_limit_until;
    std::string logged;         // the last decision in the log
    bool use_changed = false;   // the GPU time of its sweeps has changed since
    absl::Duration use_stored;  // when the GPU time of the sweeps was last among the changes
  };
  // Adds the time since the last tick to the pools' usage.
  void NoteUsage(const Demand& demand);
  // The same for the sweeps, durably, and tells the dispatcher of spent ones.
  void NoteSweepUse(const Demand& demand);
  // Puts the sweeps' GPU time among the changes if that is due. No submission waits for it.
  void StoreSweepUse();
  struct Planned {
    std::string pool;
    int64_t walltime_s;
  };

  void Schedule(absl::Duration delay);
  void Tick();
  void EndTick();
  bool PollIsDue() const;
  void Poll(std::function<void()> then);
  void ShowMissing(std::vector<std::string> keys, std::function<void()> then);
  void AskDemand();
  void Decided(const Demand& demand);
  std::vector<PoolInput> Inputs();
  void Execute(std::vector<Planned> submits, std::vector<std::string> cancels);
  void Flush(std::function<void(absl::Status)> then);
  void CancelNext(std::vector<std::string> keys, std::function<void()> then);
  void SubmitNext(std::deque<Planned> submits);
  void Submitted(const std::string& key, const SubmitResult& result, std::deque<Planned> rest);
  // OK: a probe of the pool may begin.
  absl::Status MayProbe(const std::string& pool) const;
  void StartProbe(const PoolSpec& spec, absl::Duration wait, PoolCheck check,
                  std::function<void(absl::StatusOr<PoolCheck>)> done);
  void SetDecision(const std::string& pool, const std::string& text);
  void SetDecisions(const std::string& text);
  void ReadTails();
  bool StoppedByFile() const;
  std::vector<std::string> Clusters() const;

  const AutoscalerOptions options_;
  Clock& clock_;
  BatchSystem& batch_;
  PoolRecords& records_;
  const DemandSource demand_;
  AllocationTracker tracker_;
  std::atomic<bool> closing_ = false;
  bool loaded_ = false, loading_ = false;
  bool ticking_ = false, nudged_ = false;
  std::vector<std::function<void()>> after_next_tick_, after_this_tick_;
  bool timer_set_ = false;
  Clock::TimerId timer_ = 0;
  absl::Duration timer_due_;
  bool polled_once_ = false;
  bool poll_now_ = true;
  bool polled_in_tick_ = false;
  absl::Duration polled_at_;
  std::string trouble_;
  std::map<std::string, PoolMemory> memory_;
  std::map<std::string, std::shared_ptr<Probe>> probes_;  // by key
  std::map<std::string, UsageLog> usage_;
  absl::Duration usage_noted_;  // zero: not yet
  absl::Duration loaded_at_;
  SpentSweeps told_spent_;
  std::vector<PoolDecision> decisions_;
  int64_t trouble_since_ms_ = 0, polled_ms_ = 0, loaded_ms_ = 0;
  bool stopped_by_file_ = false;
  uint32_t load_failures_ = 0;
  Executor disk_;  // reads output files; a disk may hang
  Executor executor_;
};

// Adds the faults of a pool that the limits of its partition show.
void JudgeCapabilities(const PoolSpec& spec, const Capabilities& capabilities, PoolCheck* check);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_POOL_LOOP_H_
