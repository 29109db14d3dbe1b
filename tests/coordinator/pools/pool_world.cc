#include "tests/coordinator/pools/pool_world.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coppice::pools {
namespace {

constexpr char kStoreId[] = "0123456789abcdef";
constexpr int kJobSeconds = 60;
constexpr int kPurgeSeconds = 100;

SubmitResult Answer(SubmitResult::Kind kind, const std::string& text, const std::string& id = "") {
  SubmitResult result;
  result.kind = kind;
  result.text = text;
  result.job_id = id;
  return result;
}

}  // namespace

// The commands, for one life of the coordinator.
class PoolWorld::Batch : public BatchSystem {
 public:
  explicit Batch(PoolWorld* world) : world_(*world), alive_(world->alive_) {}

  void Submit(Submission submission, std::function<void(SubmitResult)> done) override {
    if (!*alive_) return;
    PoolWorld& w = world_;
    ++w.submits_;
    w.last_script_ = submission.script;
    if (w.stored_allocations_.count(submission.key) == 0) {
      w.violations_.push_back(absl::StrCat("sbatch before the row is durable: ", submission.key));
    }
    std::optional<SubmitResult> forced = w.on_submit ? w.on_submit() : std::nullopt;
    if (forced.has_value()) return Reply(absl::Seconds(1), done, *forced);
    if (w.now_s() < w.away_until_s_ || w.Chance(w.faults_.refused)) {
      return Reply(absl::Seconds(9), done,
                   Answer(SubmitResult::Kind::kTransient, "connect failure"));
    }
    if (w.Chance(w.faults_.limited)) {
      return Reply(absl::Seconds(1), done,
                   Answer(SubmitResult::Kind::kLimit, "QOSMaxSubmitJobPerUserLimit"));
    }
    const auto accept = [&w, submission] { w.Accept(submission); };
    if (w.Chance(w.faults_.answer_lost)) {
      w.Later(absl::Seconds(w.Between(0, 50)), accept);
      return Reply(absl::Seconds(60), done, Answer(SubmitResult::Kind::kUnclear, "timed out"));
    }
    if (w.Chance(w.faults_.answer_late)) {
      w.Later(absl::Seconds(60 + w.Between(0, 50)), accept);
      return Reply(absl::Seconds(60), done, Answer(SubmitResult::Kind::kUnclear, "timed out"));
    }
    w.Later(absl::Milliseconds(500), accept);
    w.Later(absl::Seconds(1), [&w, submission, done, alive = alive_] {
      if (!*alive) return;
      for (const SimJob& job : w.jobs_) {
        if (job.key == submission.key) {
          return done(Answer(SubmitResult::Kind::kAccepted, "", job.id));
        }
      }
    });
  }
  void Queue(std::vector<std::string>,
             std::function<void(absl::StatusOr<std::vector<Job>>)> done) override {
    if (!*alive_) return;
    if (world_.now_s() < world_.away_until_s_) {
      return Reply(absl::Seconds(9), done, absl::UnavailableError("connect failure"));
    }
    Reply(absl::Milliseconds(200), done, world_.Shown(false));
  }
  void Show(std::string job_id, std::string,
            std::function<void(absl::StatusOr<std::optional<Job>>)> done) override {
    if (!*alive_) return;
    if (world_.now_s() < world_.away_until_s_) {
      return Reply(absl::Seconds(9), done, absl::UnavailableError("connect failure"));
    }
    std::optional<Job> found;
    for (const Job& job : world_.Shown(true)) {
      if (job.job_id == job_id) found = job;
    }
    Reply(absl::Milliseconds(100), done, found);
  }
  void CancelQueued(std::vector<std::string> ids, std::string,
                    std::function<void(absl::Status)> done) override {
    if (!*alive_) return;
    for (SimJob& job : world_.jobs_) {
      const bool asked = std::find(ids.begin(), ids.end(), job.id) != ids.end();
      if (asked && job.state == "PENDING") world_.End(job, "CANCELLED");
    }
    Reply(absl::Milliseconds(100), done, absl::OkStatus());
  }
  void GetCapabilities(std::string, std::string,
                       std::function<void(absl::StatusOr<Capabilities>)> done) override {
    Capabilities capabilities;
    capabilities.max_time_s = 1800;
    capabilities.grace_time_s = 60;
    capabilities.kill_wait_s = 10;
    capabilities.preempt_mode = "REQUEUE";
    if (*alive_) Reply(absl::Milliseconds(100), done, capabilities);
  }
  void TestSubmit(Submission, std::function<void(SubmitResult)> done) override {
    if (!*alive_) return;
    Reply(absl::Milliseconds(100), done, Answer(SubmitResult::Kind::kAccepted, "fine"));
  }

 private:
  template <typename Done, typename Value>
  void Reply(absl::Duration delay, Done done, Value value) {
    world_.Later(delay, [done, value, alive = alive_] {
      if (*alive) done(value);
    });
  }

  PoolWorld& world_;
  const std::shared_ptr<bool> alive_;
};

class PoolWorld::Records : public PoolRecords {
 public:
  explicit Records(PoolWorld* world) : world_(*world), alive_(world->alive_) {}

  void Load(int64_t, std::function<void(absl::StatusOr<PoolsLoaded>)> done) override {
    PoolsLoaded loaded;
    for (const auto& entry : world_.stored_pools_) loaded.pools.push_back(entry.second);
    for (const auto& entry : world_.stored_allocations_) {
      loaded.allocations.push_back(entry.second);
    }
    world_.Later(absl::Milliseconds(10), [done, loaded, alive = alive_] {
      if (*alive) done(loaded);
    });
  }
  void Save(std::vector<PoolRow> pools, std::vector<AllocationRow> allocations,
            std::function<void(absl::Status)> done) override {
    if (!*alive_) return;
    PoolWorld& w = world_;
    const bool fails = w.Chance(w.faults_.save);
    const uint64_t number = ++w.save_number_;
    if (!fails) w.saves_.emplace_back(number, PoolWorld::Save{pools, allocations});
    w.Later(absl::Milliseconds(10), [&w, number, fails, done, alive = alive_] {
      if (!w.saves_.empty() && w.saves_.front().first == number) {
        w.Commit(w.saves_.front().second);
        w.saves_.pop_front();
      }
      if (*alive) done(fails ? absl::ResourceExhaustedError("disk full") : absl::OkStatus());
    });
  }

 private:
  PoolWorld& world_;
  const std::shared_ptr<bool> alive_;
};

PoolWorld::PoolWorld(uint64_t seed, Faults faults, PoolSpec spec, int jobs)
    : random_(seed), faults_(faults), spec_(std::move(spec)), total_(jobs), pending_(jobs) {
  PoolRow row;
  row.spec = spec_;
  stored_pools_[spec_.name] = row;
  StartCoordinator();
}

PoolWorld::~PoolWorld() { Crash(); }

void PoolWorld::StartCoordinator() {
  alive_ = std::make_shared<bool>(true);
  batch_ = std::make_unique<Batch>(this);
  records_ = std::make_unique<Records>(this);
  AutoscalerOptions options;
  options.store_id = kStoreId;
  options.runner = [this](std::function<void()> work) { closures_.push_back(std::move(work)); };
  spent_.clear();
  options.tell_spent = [this](SpentSweeps spent, const std::function<void(absl::Status)>& done) {
    spent_ = std::move(spent);
    done(absl::OkStatus());
  };
  autoscaler_ = std::make_unique<Autoscaler>(
      options, &clock_, batch_.get(), records_.get(),
      [this](const std::function<void(absl::StatusOr<Demand>)>& done) { done(MakeDemand()); });
  autoscaler_->Start();
}

void PoolWorld::Crash() {
  if (autoscaler_ == nullptr) return;
  *alive_ = false;
  closures_.clear();
  autoscaler_.reset();
  closures_.clear();
  // Of the saves on their way some first ones were committed.
  const int64_t committed = Between(0, static_cast<int64_t>(saves_.size()));
  for (int64_t i = 0; i < committed; ++i) Commit(saves_[static_cast<size_t>(i)].second);
  saves_.clear();
}

void PoolWorld::RunSeconds(int seconds) {
  for (int i = 0; i < seconds; ++i) {
    for (int part = 0; part < 4; ++part) {
      clock_.Advance(absl::Milliseconds(250));
      RunClosures();
    }
    if (autoscaler_ == nullptr && now_s() >= restart_s_) StartCoordinator();
    Evolve();
    Check();
  }
}

void PoolWorld::RunClosures() {
  while (!closures_.empty()) {
    if (crash_at_ != 0 && steps_ >= crash_at_) {
      crash_at_ = 0;
      ++crashes_;
      Crash();
      restart_s_ = now_s() + Between(1, 90);
      return;
    }
    ++steps_;
    const std::function<void()> work = std::move(closures_.front());
    closures_.pop_front();
    work();
  }
}

AutoscalerStatus PoolWorld::Status() {
  AutoscalerStatus status;
  autoscaler_->Status([&status](absl::StatusOr<AutoscalerStatus> got) {
    if (got.ok()) status = *std::move(got);
  });
  RunClosures();
  return status;
}

bool PoolWorld::Chance(double p) {
  return p > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < p;
}

int64_t PoolWorld::Between(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random_);
}

void PoolWorld::Later(absl::Duration delay, std::function<void()> work) {
  clock_.Schedule(delay, std::move(work));
}

int PoolWorld::Alive() const {
  return static_cast<int>(
      std::count_if(jobs_.begin(), jobs_.end(), [](const SimJob& job) { return job.alive(); }));
}

int PoolWorld::Queued() const {
  return static_cast<int>(std::count_if(jobs_.begin(), jobs_.end(),
                                        [](const SimJob& job) { return job.state == "PENDING"; }));
}

void PoolWorld::Accept(const Submission& submission) {
  SimJob job;
  job.id = absl::StrCat(100 + jobs_.size());
  job.key = submission.key;
  job.reason = pending_reason;
  job.eligible_s = now_s() + Between(1, 30);
  jobs_.push_back(job);
  if (++submits_by_key_[submission.key] > 1) {
    violations_.push_back(absl::StrCat("submitted twice: ", submission.key));
  }
}

void PoolWorld::ForceAccept(const std::string& key) {
  Submission submission;
  submission.key = key;
  Accept(submission);
}

void PoolWorld::DismissWorkers() {
  for (SimJob& job : jobs_) {
    if (!job.worker) continue;
    LoseWorker(job);
    job.completes_s = now_s() + 2;
  }
  autoscaler_->Nudge();
}

void PoolWorld::RestartJobs() {
  for (SimJob& job : jobs_) {
    if (job.state != "RUNNING") continue;
    LoseWorker(job);
    ++job.restarts;
    job.start_s = now_s();
    job.registers_s = now_s() + 5;
    job.idle_since_s = job.registers_s;
  }
}

void PoolWorld::Commit(const Save& save) {
  for (const PoolRow& row : save.pools) stored_pools_[row.spec.name] = row;
  for (const AllocationRow& row : save.allocations) stored_allocations_[row.key] = row;
}

void PoolWorld::Evolve() {
  if (now_s() >= away_until_s_ && Chance(faults_.away)) away_until_s_ = now_s() + Between(20, 90);
  if (pending_ == 0) {
    waiting_since_s_ = 0;
  } else if (waiting_since_s_ == 0) {
    waiting_since_s_ = now_s();
  }
  for (SimJob& job : jobs_) {
    if (job.alive()) EvolveJob(job);
  }
}

void PoolWorld::EvolveJob(SimJob& job) {
  if (job.hidden_until_s < now_s() && Chance(faults_.hidden)) job.hidden_until_s = now_s() + 60;
  if (job.worker) EvolveWorker(job);
  if (job.state == "PENDING") {
    if (job.worker && now_s() >= job.orphan_until_s) LoseWorker(job);
    if (!start_jobs || now_s() < job.eligible_s || job.worker) return;
    job.state = "RUNNING";
    job.reason = "None";
    job.node = absl::StrCat("n", Between(1, 3));
    job.start_s = now_s();
    job.registers_s = now_s() + Between(3, 12);
    job.idle_since_s = job.registers_s;
    if (Chance(faults_.fails)) End(job, "FAILED");
    return;
  }
  if (job.dead_until_s > 0) {
    if (now_s() >= job.dead_until_s) End(job, "NODE_FAIL");
    return;
  }
  if (job.completes_s > 0) {
    if (now_s() >= job.completes_s) End(job, "COMPLETED");
    return;
  }
  if (!job.worker && now_s() >= job.registers_s) job.worker = true;
  if (job.worker && job.busy_until_s == 0 && now_s() - job.idle_since_s > 30) {
    return End(job, "COMPLETED");
  }
  if (Chance(faults_.preempt)) {
    Requeue(job, "BeginTime");
  } else if (Chance(faults_.dead)) {
    LoseWorker(job);
    job.dead_until_s = now_s() + 120;
  }
}

void PoolWorld::EvolveWorker(SimJob& job) {
  if (job.busy_until_s > 0 && now_s() >= job.busy_until_s) {
    ++done_;
    job.busy_until_s = 0;
    job.idle_since_s = now_s();
  }
  if (job.busy_until_s == 0 && pending_ > 0 && spent_.empty()) {
    --pending_;
    job.busy_until_s = now_s() + kJobSeconds;
  }
}

void PoolWorld::LoseWorker(SimJob& job) {
  if (job.worker && job.busy_until_s > 0) ++pending_;
  job.worker = false;
  job.busy_until_s = 0;
}

void PoolWorld::Requeue(SimJob& job, const std::string& reason) {
  job.state = "PENDING";
  job.reason = reason;
  job.node.clear();
  job.eligible_s = now_s() + 20;
  ++job.restarts;
  if (Chance(0.3)) {
    job.orphan_until_s = now_s() + 40;
  } else {
    LoseWorker(job);
  }
}

void PoolWorld::End(SimJob& job, const std::string& state) {
  LoseWorker(job);
  job.state = state;
  job.end_s = now_s();
}

void PoolWorld::Check() {
  if (Alive() > static_cast<int>(spec_.max_workers)) {
    violations_.push_back(absl::StrCat(Alive(), " jobs live, above --max-workers"));
  }
}

Demand PoolWorld::MakeDemand() {
  Demand demand;
  demand.grantable_jobs = static_cast<uint64_t>(pending_);
  demand.seconds_left = pending_ * kJobSeconds;
  demand.oldest_waiting_ms = waiting_since_s_ * 1000;
  for (const SimJob& job : jobs_) {
    if (!job.worker) continue;
    WorkerCapacity worker;
    worker.pool_key = job.key;
    worker.raw_job_id = job.id;
    worker.restarts = job.restarts;
    worker.slots = 1;
    worker.idle_slots = job.busy_until_s == 0 ? 1 : 0;
    if (job.busy_until_s > 0) {
      worker.held = {{kSweep, 1}};
      ++demand.running_jobs;
    }
    demand.workers.push_back(worker);
    if (job.busy_until_s > 0) {
      demand.seconds_left += static_cast<double>(job.busy_until_s - now_s());
    }
  }
  if (demand.grantable_jobs + demand.running_jobs > 0) {
    demand.sweeps.push_back({kSweep, 1, "words", demand.grantable_jobs, 0, demand.running_jobs});
  }
  return demand;
}

std::vector<Job> PoolWorld::Shown(bool with_hidden) {
  std::vector<Job> shown;
  for (const SimJob& sim : jobs_) {
    if (!sim.alive() && now_s() - sim.end_s > kPurgeSeconds) continue;
    if (!with_hidden && sim.alive() && sim.hidden_until_s >= now_s()) continue;
    Job job;
    job.key = sim.key;
    job.job_id = sim.id;
    job.state = sim.state;
    job.phase = sim.state == "PENDING"   ? JobPhase::kPending
                : sim.state == "RUNNING" ? JobPhase::kRunning
                                         : JobPhase::kEnded;
    job.reason = sim.reason == "None" ? "" : sim.reason;
    job.node = sim.node;
    job.start_ms = sim.start_s * 1000;
    job.end_ms = sim.end_s * 1000;
    if (sim.state == "FAILED") job.exit_code = 1;
    shown.push_back(job);
  }
  return shown;
}

}  // namespace coppice::pools
