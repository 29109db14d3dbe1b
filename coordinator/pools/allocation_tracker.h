#ifndef COPPICE_COORDINATOR_POOLS_ALLOCATION_TRACKER_H_
#define COPPICE_COORDINATOR_POOLS_ALLOCATION_TRACKER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/pools/batch_system.h"
#include "coordinator/pools/demand.h"
#include "coordinator/pools/pool.h"
#include "coordinator/pools/records.h"

namespace coppice::pools {

// Wall time for the rows, and a time that never jumps for waits.
struct TrackerTime {
  int64_t now_ms = 0;
  absl::Duration monotonic;
};

inline bool IsAlive(const AllocationRow& row) { return row.state != AllocationState::kEnded; }

// Purpose: the pools and their allocations in memory, and what answers of the batch system say
// about them. Silence says nothing: a row ends only by a state that the batch system shows, or once
// it has said several times, over minutes, that it knows no such job. Owner: the Autoscaler's loop;
// not thread-safe. Durability: none; changed rows wait in TakeChanges.
class AllocationTracker {
 public:
  // An sbatch that was given up may still reach the controller for so long.
  static constexpr absl::Duration kSettle = absl::Minutes(2);
  // After that its key must be missing in two answers so far apart.
  static constexpr absl::Duration kUnsentBeforeEnd = absl::Seconds(75);
  // A job is asked for by its number once it was missing for so long, in two answers at least.
  static constexpr absl::Duration kMissingBeforeShow = absl::Seconds(20);
  // A job that the batch system does not know has ended once that has lasted so long.
  static constexpr absl::Duration kUnknownBeforeEnd = absl::Minutes(5);
  static constexpr int kUnknownAnswers = 3;
  // A worker that came or went says more than the last answer of the queue, for so long.
  static constexpr absl::Duration kNewsOfWorker = absl::Minutes(1);
  // Of two times, one from a database and one from the batch system, which tell of one start.
  static constexpr int64_t kSameStartMs = 60'000;
  // A job that can never start is cancelled after so long.
  static constexpr absl::Duration kStuckBeforeCancel = absl::Seconds(60);
  // Ended allocations are kept in memory for so long.
  static constexpr int64_t kKeepEndedMs = 2 * 86'400'000;
  static constexpr int64_t kExcludeMs = 3'600'000;
  static constexpr size_t kQuickFailures = 3;

  explicit AllocationTracker(std::string store_id) : store_id_(std::move(store_id)) {}

  void Load(PoolsLoaded loaded, TrackerTime time);

  const std::map<std::string, PoolRow>& pools() const { return pools_; }
  const std::map<std::string, AllocationRow>& allocations() const { return allocations_; }
  // Null: there is none.
  PoolRow* FindPool(const std::string& name);
  const AllocationRow* FindAllocation(const std::string& key) const;
  // A pool's row has changed outside of this class.
  void PutPool(PoolRow row);
  void NoteChanged(const PoolRow& row) { Touch(row); }
  std::vector<AllocationRow> AllocationList() const;

  // Makes the row of a submission and takes its number. It is not among the allocations before
  // Begin, which follows once it is durable.
  AllocationRow Intend(PoolRow* pool, int64_t walltime_s, TrackerTime time);
  void Begin(const AllocationRow& row);
  // sbatch's answer for the key.
  void ApplySubmit(const std::string& key, const SubmitResult& result, TrackerTime time);
  // The queue, as asked for at `asked`.
  void ApplyQueue(const std::vector<Job>& jobs, absl::Duration asked, TrackerTime time);
  // The answer about one job; nullopt: the batch system knows none.
  void ApplyShown(const std::string& key, const std::optional<Job>& job, TrackerTime time);
  void ApplyWorkers(const std::vector<WorkerCapacity>& workers, TrackerTime time);
  void ApplyRegistered(const std::string& key, TrackerTime time);
  void SetOutputTail(const std::string& key, std::string tail);

  // Keys of jobs to ask for by their number.
  std::vector<std::string> ToShow(TrackerTime time) const;
  // Keys of queued jobs that can never start or belong to a removed pool. A pool whose job cannot
  // start stops.
  std::vector<std::string> ToCancel(TrackerTime time);
  // Keys of failed allocations whose output nobody has read yet; each comes once.
  std::vector<std::string> TakeFailed();
  // Pools of allocations that were taken away, once for each time.
  std::vector<std::string> TakePreempted();
  // True while something is unclear or queued, so that the batch system is worth asking often.
  bool Waits() const;
  // True while a worker has come or gone lately, and the batch system has not yet shown why.
  bool ExpectsNews(TrackerTime time) const;
  bool HasAlive() const;
  bool HasAlive(const std::string& pool) const;
  // Drops what ended long ago.
  void Forget(TrackerTime time);

  struct Changes {
    std::vector<PoolRow> pools;
    std::vector<AllocationRow> allocations;
    bool empty() const { return pools.empty() && allocations.empty(); }
  };
  Changes TakeChanges();
  // The rows could not be stored: they are changes again.
  void PutBack(const Changes& changes);

 private:
  // Knowledge of a row that is not stored.
  struct Observation {
    bool in_flight = false;   // sbatch runs
    absl::Duration given_up;  // since when it does not, without an answer
    int missing = 0;          // answers that left the job out
    absl::Duration missing_since;
    int unknown = 0;  // answers that it is not known
    std::optional<absl::Duration> stuck_since, ended_since;
    bool worker_there = false;  // its worker is registered and has not departed
    bool connected = false;     // and it is connected
    std::optional<absl::Duration> connected_changed;
    // Of the run that goes on. Wall time when it was last seen to go on, by any sign, and when its
    // worker went; 0: not yet.
    int64_t alive_ms = 0, worker_gone_ms = 0;
    int64_t start_ms = 0;          // by the batch system's clock; 0: not seen by this process
    bool booting = false;          // its node is started for it, which moves the start
    uint32_t restarts_before = 0;  // the row's restarts when the run began
    std::string state, reason;     // as logged last
  };

  AllocationRow* Find(const std::string& key);
  void Adopt(const Job& job, TrackerTime time);
  void ApplyJob(const Job& job, AllocationRow* row, TrackerTime time);
  void ApplyPending(const Job& job, AllocationRow* row, TrackerTime time);
  void ApplyRunning(const Job& job, AllocationRow* row, TrackerTime time);
  void ApplyEnded(const Job& job, AllocationRow* row, TrackerTime time);
  void ApplyMissing(AllocationRow* row, absl::Duration asked, TrackerTime time);
  void End(AllocationRow* row, const std::string& outcome, TrackerTime time);
  void BeginRun(const Job& job, AllocationRow* row, TrackerTime time);
  // Closes the run that the row tells of if the job shows a later one.
  void CloseIfStartedAnew(const Job& job, AllocationRow* row);
  void CloseRun(AllocationRow* row, int64_t end_ms);
  // The batch system has put the allocation back into the queue: its run ended at `latest_ms` or
  // before.
  void CloseRequeued(AllocationRow* row, int64_t latest_ms);
  void NoteConnected(const AllocationRow& row, bool connected, TrackerTime time);
  void NoteFailure(PoolRow* pool, const std::string& error, TrackerTime time);
  void NoteSuccess(PoolRow* pool);
  void NoteNode(PoolRow* pool, const AllocationRow& row, TrackerTime time);
  void Touch(const AllocationRow& row) { changed_allocations_.insert(row.key); }
  void Touch(const PoolRow& row) { changed_pools_.insert(row.spec.name); }

  const std::string store_id_;
  std::map<std::string, PoolRow> pools_;
  std::map<std::string, AllocationRow> allocations_;
  std::map<std::string, Observation> observations_;
  std::set<std::string> changed_pools_, changed_allocations_;
  std::vector<std::string> failed_, preempted_;
};

// The wait after this many failures in a row: 10 s, 1, 5, 15 and 60 minutes.
absl::Duration PoolBackoff(uint32_t failures);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_ALLOCATION_TRACKER_H_
