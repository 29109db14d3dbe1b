// A made-up Slurm, its workers, the work and the coordinator's database, on a fake clock. The
// autoscaler in it can crash at any of its steps.
#ifndef COPPICE_TESTS_COORDINATOR_POOLS_POOL_WORLD_H_
#define COPPICE_TESTS_COORDINATOR_POOLS_POOL_WORLD_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/pools/autoscaler.h"
#include "tests/testing/fake_clock.h"

namespace coppice::pools {

// Rates at which things go wrong; all 0: an honest, quick Slurm.
struct Faults {
  double answer_lost = 0;  // sbatch queues the job, and gives no answer
  double answer_late = 0;  // sbatch is given up, and the job is queued afterwards
  double refused = 0, limited = 0;
  double away = 0;     // a second: slurmctld does not answer for a while
  double hidden = 0;   // a second: squeue leaves out a live job for a minute
  double preempt = 0;  // a second: back into the queue, in part with its worker living on
  double dead = 0;     // a second: shown as running, while nothing runs
  double fails = 0;    // a start: ends at once with code 1
  double save = 0;     // a save of rows fails
};

inline Faults EveryFault() {
  return {0.08, 0.06, 0.03, 0.03, 0.002, 0.003, 0.003, 0.0005, 0.1, 0.01};
}

struct SimJob {
  std::string id, key, state = "PENDING", reason = "Priority", node;
  int64_t start_s = 0, end_s = 0, eligible_s = 0, hidden_until_s = 0, dead_until_s = 0;
  int64_t registers_s = 0;     // its worker comes then
  int64_t orphan_until_s = 0;  // its worker lives on although it is queued again
  bool worker = false;         // is connected
  int64_t busy_until_s = 0;    // of the worker; 0: idle
  int64_t idle_since_s = 0;
  int64_t completes_s = 0;  // its worker has said goodbye; 0: it has not
  uint32_t restarts = 0;
  bool alive() const { return state == "PENDING" || state == "RUNNING"; }
};

class PoolWorld {
 public:
  static constexpr uint64_t kSweep = 7;  // the only one

  PoolWorld(uint64_t seed, Faults faults, PoolSpec spec, int jobs);
  ~PoolWorld();

  void StartCoordinator();
  // As kill -9: nothing more is done or heard by it. What it has asked of others goes its way.
  void Crash();
  // Crashes when the autoscaler has run this many closures in all, and comes back after a while.
  void CrashAt(uint64_t step) { crash_at_ = step; }
  void RunSeconds(int seconds);

  uint64_t steps() const { return steps_; }
  bool crashed() const { return crashes_ > 0; }
  bool WorkDone() const { return done_ == total_; }
  int Alive() const;
  int Queued() const;
  // All that has ever gone wrong, in words.
  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<SimJob>& jobs() const { return jobs_; }
  AutoscalerStatus Status();
  Autoscaler& autoscaler() { return *autoscaler_; }
  const std::map<std::string, AllocationRow>& stored() const { return stored_allocations_; }
  const std::map<std::string, PoolRow>& stored_pools() const { return stored_pools_; }
  const std::string& last_script() const { return last_script_; }
  int submits() const { return submits_; }
  void AddWork(int jobs) {
    total_ += jobs;
    pending_ += jobs;
  }
  // Each worker says goodbye now, as after a preemption. Its job is shown as running for two
  // seconds more, and completes.
  void DismissWorkers();
  // Puts each running job back into the queue and starts it again, without a moment in between.
  void RestartJobs();
  // Queues a job under a key, as if somebody had submitted it.
  void ForceAccept(const std::string& key);
  // The answer of the next submits; unset: by the faults.
  std::function<std::optional<SubmitResult>()> on_submit;
  std::string pending_reason = "Priority";
  bool start_jobs = true;

 private:
  class Batch;
  class Records;
  struct Save {
    std::vector<PoolRow> pools;
    std::vector<AllocationRow> allocations;
  };

  bool Chance(double p);
  int64_t Between(int64_t low, int64_t high);
  int64_t now_s() { return clock_.NowMillis() / 1000; }
  void Later(absl::Duration delay, std::function<void()> work);
  void RunClosures();
  void Evolve();
  void EvolveJob(SimJob& job);
  void EvolveWorker(SimJob& job);
  void LoseWorker(SimJob& job);
  void Requeue(SimJob& job, const std::string& reason);
  void End(SimJob& job, const std::string& state);
  void Accept(const Submission& submission);
  void Commit(const Save& save);
  void Check();
  Demand MakeDemand();
  std::vector<Job> Shown(bool with_hidden);

  std::mt19937_64 random_;
  const Faults faults_;
  const PoolSpec spec_;
  testing::FakeClock clock_;
  std::deque<std::function<void()>> closures_;
  uint64_t steps_ = 0, crash_at_ = 0;
  int crashes_ = 0;
  int64_t restart_s_ = 0;
  std::vector<SimJob> jobs_;
  std::map<std::string, int> submits_by_key_;
  std::map<std::string, PoolRow> stored_pools_;
  std::map<std::string, AllocationRow> stored_allocations_;
  std::deque<std::pair<uint64_t, Save>> saves_;  // not committed yet, by number
  uint64_t save_number_ = 0;
  int total_, pending_, done_ = 0;
  int submits_ = 0;
  int64_t waiting_since_s_ = 0, away_until_s_ = 0;
  std::string last_script_;
  SpentSweeps spent_;  // as the coordinator was told
  std::vector<std::string> violations_;
  std::shared_ptr<bool> alive_;  // of this life of the coordinator
  std::unique_ptr<Batch> batch_;
  std::unique_ptr<Records> records_;
  std::unique_ptr<Autoscaler> autoscaler_;
};

}  // namespace coppice::pools

#endif  // COPPICE_TESTS_COORDINATOR_POOLS_POOL_WORLD_H_
