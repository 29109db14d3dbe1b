#ifndef COPPICE_BENCH_CONTROL_PLANE_CYCLES_H_
#define COPPICE_BENCH_CONTROL_PLANE_CYCLES_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "bench/control_plane/fleet.h"

namespace coppice::bench {

// Results of a phase under load, as its callers saw them.
struct LoadResult {
  double seconds = 0;
  uint64_t leases = 0;       // granted
  uint64_t completions = 0;  // accepted
  uint64_t offered = 0;      // lease requests that were due
  uint64_t refused = 0;      // answers RESOURCE_EXHAUSTED, all calls
  uint64_t failed = 0;       // any other error
  uint64_t lost = 0;         // leases that ended before their job's completion
  Latencies lease_latency;   // from when a request was due
  double drain_seconds = 0;  // until all cycles that had begun have ended
  uint64_t in_all = 0;       // completions up to then
  double until_last = 0;     // seconds from the start to the last of them
  double client_cpu = 0;     // seconds
  double server_cpu = 0;
  double per_second() const {
    return seconds == 0 ? 0 : static_cast<double>(leases + completions) / seconds;
  }
};

// Purpose: lease cycles in the manner of workers: AcquireLeases, then for each job of the pack a
// metric row, a (tiny) checkpoint file, and the records of the checkpoint and of the completion.
// The rows of a pack travel in one message and the other records in a second. None waits for an
// acknowledgement. A refused call or stream (RESOURCE_EXHAUSTED, UNAVAILABLE) is tried again with
// backoff and jitter, as a worker does. Notes what the coordinator acknowledged, for the checks
// after a kill. Owner: main. Phases run one at a time.
class Cycles {
 public:
  Cycles(const Options& options, std::string checkpoint_folder, Fleet* fleet)
      : options_(options), checkpoint_folder_(std::move(checkpoint_folder)), fleet_(*fleet) {}
  // Closes the fleet's streams and waits for the calls in flight, which call back into this object.
  ~Cycles();

  // Runs `concurrency` cycles at a time for `duration`; each end starts another.
  LoadResult ClosedLoop(pid_t server, uint32_t pack, uint32_t concurrency, absl::Duration duration);
  // Sends lease requests at a fixed rate, regardless of earlier ones.
  LoadResult OpenLoop(pid_t server, uint32_t pack, double requests_per_second,
                      absl::Duration duration);
  // Ends retries and abandons the calls in flight, for a coordinator that is about to be killed.
  void Abandon() { abandoned_ = true; }
  // Starts cycles until Abandon is called.
  void StartEndless(uint32_t pack, uint32_t concurrency);
  void Resume() { abandoned_ = false; }
  bool WaitForNone(absl::Duration limit);

  // Jobs whose completion was acknowledged, and leases that were granted without an acknowledged
  // completion.
  absl::flat_hash_set<uint64_t> completed() const;
  absl::flat_hash_map<uint64_t, uint64_t> open_leases() const;

 private:
  double Drain();  // seconds
  struct Cycle;
  struct Job;
  void Start(SimulatedWorker* worker, uint32_t pack, absl::Duration due, bool again);
  void Acquire(const std::shared_ptr<Cycle>& cycle);
  void OnGrant(const std::shared_ptr<Cycle>& cycle, const v1::AcquireLeasesResponse& grant);
  void OnAnswer(const std::shared_ptr<Job>& job, const v1::AttemptAnswer& answer);
  void Succeed(const std::shared_ptr<Job>& job);
  void Lose(const std::shared_ptr<Job>& job);
  void EndJob(const std::shared_ptr<Job>& job);
  void EndCycle(const std::shared_ptr<Cycle>& cycle);
  // True: another try is scheduled.
  bool TryAgain(const absl::Status& status, Backoff& backoff, std::function<void()> retry);
  void Reset();
  LoadResult Finish(absl::Duration began, double client_cpu, double server_cpu, pid_t server);

  const Options& options_;
  const std::string checkpoint_folder_;
  Fleet& fleet_;
  Clock* const clock_ = Clock::Real();
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> open_{false};  // each end starts another cycle
  std::atomic<int64_t> running_{0};
  std::atomic<uint64_t> next_request_{0};
  mutable absl::Mutex mutex_;
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
  uint64_t refused_before_ ABSL_GUARDED_BY(mutex_) = 0;  // streams, before the phase
  absl::Duration last_completion_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<uint64_t> completed_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, uint64_t> open_leases_ ABSL_GUARDED_BY(mutex_);  // job -> attempt
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_CYCLES_H_
