#include "coordinator/pools/pool_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "coordinator/pools/output_tail.h"
#include "coordinator/pools/script.h"

namespace coppice::pools {

Autoscaler::Loop::Loop(AutoscalerOptions options, Clock* clock, BatchSystem* batch,
                       PoolRecords* records, DemandSource demand)
    : options_(std::move(options)),
      clock_(*clock),
      batch_(*batch),
      records_(*records),
      demand_(std::move(demand)),
      tracker_(options_.store_id),
      disk_(1, options_.runner),
      executor_(1, options_.runner) {}

bool Autoscaler::Loop::Post(std::function<void()> work) { return executor_.Add(std::move(work)); }

void Autoscaler::Loop::Shutdown() {
  closing_ = true;
  executor_.Shutdown();
  if (timer_set_) clock_.Cancel(timer_);
  disk_.Shutdown();
}

TrackerTime Autoscaler::Loop::Now() const { return {clock_.NowMillis(), clock_.Monotonic()}; }

void Autoscaler::Loop::Load() {
  if (loaded_ || loading_) return;
  loading_ = true;
  records_.Load(Now().now_ms - AllocationTracker::kKeepEndedMs,
                Bind([this](absl::StatusOr<PoolsLoaded> loaded) {
                  loading_ = false;
                  if (!loaded.ok()) {
                    spdlog::error("cannot read the pools, and tries again: {}",
                                  loaded.status().ToString());
                    return Schedule(std::max(kTick, PoolBackoff(++load_failures_) / 2));
                  }
                  tracker_.Load(*std::move(loaded), Now());
                  loaded_ = true;
                  Schedule(absl::ZeroDuration());
                }));
}

void Autoscaler::Loop::Nudge() {
  nudged_ = true;
  if (!ticking_) Schedule(kNudged);
}

void Autoscaler::Loop::Schedule(absl::Duration delay) {
  if (closing_) return;
  const absl::Duration due = clock_.Monotonic() + delay;
  if (timer_set_) {
    if (timer_due_ <= due) return;
    clock_.Cancel(timer_);
  }
  timer_set_ = true;
  timer_due_ = due;
  timer_ = clock_.Schedule(delay, Bind([this, due] {
                             // A timer that was cancelled too late.
                             if (!timer_set_ || timer_due_ != due) return;
                             timer_set_ = false;
                             if (loaded_) {
                               Tick();
                             } else {
                               Load();
                             }
                           }));
}

bool Autoscaler::Loop::StoppedByFile() const {
  return !options_.stop_file.empty() && FileExists(options_.stop_file);
}

void Autoscaler::Loop::Tick() {
  if (ticking_ || !loaded_ || closing_) return;
  ticking_ = true;
  nudged_ = false;
  const bool stopped = StoppedByFile();
  if (stopped != stopped_by_file_) {
    spdlog::warn("pools: {} {}; {}", options_.stop_file, stopped ? "is there" : "is gone",
                 stopped ? "nothing is submitted or cancelled" : "they go on");
  }
  stopped_by_file_ = stopped;
  tracker_.Forget(Now());
  if (PollIsDue()) return Poll([this] { AskDemand(); });
  AskDemand();
}

void Autoscaler::Loop::EndTick() {
  ticking_ = false;
  ReadTails();
  const bool idle = tracker_.pools().empty() && !tracker_.HasAlive();
  if (nudged_) return Schedule(kNudged);
  if (!idle) Schedule(kTick);
}

bool Autoscaler::Loop::PollIsDue() const {
  if (!tracker_.HasAlive()) return false;
  if (!polled_once_ || poll_now_) return true;
  const absl::Duration interval = tracker_.Waits() ? kPollWaiting : kPollRunning;
  return clock_.Monotonic() - polled_at_ >= interval;
}

std::vector<std::string> Autoscaler::Loop::Clusters() const {
  std::vector<std::string> clusters;
  for (const auto& entry : tracker_.pools()) clusters.push_back(entry.second.spec.cluster);
  return clusters;
}

void Autoscaler::Loop::Poll(std::function<void()> then) {
  const absl::Duration asked = clock_.Monotonic();
  poll_now_ = false;
  batch_.Queue(Clusters(), Bind([this, asked, then](absl::StatusOr<std::vector<Job>> jobs) {
                 // A failed question is asked again after the interval too, not at each tick.
                 polled_once_ = true;
                 polled_at_ = asked;
                 if (!jobs.ok()) {
                   if (trouble_.empty()) {
                     trouble_since_ms_ = Now().now_ms;
                     spdlog::warn("pools: Slurm does not answer; nothing is concluded: {}",
                                  jobs.status().ToString());
                   }
                   trouble_ = std::string(jobs.status().message());
                   SetDecisions(absl::StrCat("waits for Slurm: ", trouble_));
                   return EndTick();
                 }
                 if (!trouble_.empty()) spdlog::info("pools: Slurm answers again");
                 trouble_.clear();
                 trouble_since_ms_ = 0;
                 polled_ms_ = Now().now_ms;
                 tracker_.ApplyQueue(*jobs, asked, Now());
                 std::vector<std::string> missing = tracker_.ToShow(Now());
                 if (missing.size() > kMaxShown) missing.resize(kMaxShown);
                 ShowMissing(std::move(missing), then);
               }));
}

void Autoscaler::Loop::ShowMissing(std::vector<std::string> keys, std::function<void()> then) {
  if (keys.empty()) return then();
  const std::string key = keys.back();
  keys.pop_back();
  const AllocationRow* const row = tracker_.FindAllocation(key);
  if (row == nullptr) return ShowMissing(std::move(keys), then);
  const PoolRow* const pool = tracker_.FindPool(row->pool);
  batch_.Show(row->job_id, pool == nullptr ? "" : pool->spec.cluster,
              Bind([this, key, keys, then](absl::StatusOr<std::optional<Job>> job) {
                if (job.ok()) tracker_.ApplyShown(key, *job, Now());
                ShowMissing(keys, then);
              }));
}

void Autoscaler::Loop::AskDemand() {
  demand_(Bind([this](absl::StatusOr<Demand> demand) {
    if (!demand.ok()) {
      SetDecisions(absl::StrCat("does not know the demand: ", demand.status().message()));
      return Flush([this](absl::Status) { EndTick(); });
    }
    tracker_.ApplyWorkers(demand->workers, Now());
    Decided(*demand);
  }));
}

std::vector<PoolInput> Autoscaler::Loop::Inputs() {
  std::vector<PoolInput> inputs;
  for (const auto& entry : tracker_.pools()) {
    PoolMemory& memory = memory_[entry.first];
    if (memory.site_limit_until <= clock_.Monotonic()) memory.site_backlog = UINT32_MAX;
    inputs.push_back({entry.second, memory.excess_since_ms, memory.site_backlog});
  }
  return inputs;
}

void Autoscaler::Loop::Decided(const Demand& demand) {
  std::vector<std::string> cancels = tracker_.ToCancel(Now());
  decisions_ = Decide(Inputs(), tracker_.AllocationList(), demand, Now().now_ms);
  std::vector<Planned> submits;
  for (const PoolDecision& decision : decisions_) {
    memory_[decision.pool].excess_since_ms = decision.excess_since_ms;
    SetDecision(decision.pool, decision.text);
    for (const int64_t walltime : decision.submits) submits.push_back({decision.pool, walltime});
    cancels.insert(cancels.end(), decision.cancels.begin(), decision.cancels.end());
  }
  const bool acts = !submits.empty() || !cancels.empty();
  const bool fresh =
      polled_once_ && trouble_.empty() && clock_.Monotonic() - polled_at_ < kPollWaiting;
  const bool asked_lately = polled_once_ && clock_.Monotonic() - polled_at_ < kPollWaiting;
  if (acts && !fresh && !asked_lately) {
    // The queue decides whether it is true, and whether Slurm is there at all.
    return Poll([this] { AskDemand(); });
  }
  if (!trouble_.empty()) SetDecisions(absl::StrCat("waits for Slurm: ", trouble_));
  if (stopped_by_file_) SetDecisions(absl::StrCat("stopped by ", options_.stop_file));
  if (stopped_by_file_ || options_.dry_run || !trouble_.empty()) {
    submits.clear();
    cancels.clear();
  }
  Execute(std::move(submits), std::move(cancels));
}

void Autoscaler::Loop::Execute(std::vector<Planned> submits, std::vector<std::string> cancels) {
  std::sort(cancels.begin(), cancels.end());
  cancels.erase(std::unique(cancels.begin(), cancels.end()), cancels.end());
  Flush([this, submits = std::move(submits), cancels = std::move(cancels)](absl::Status stored) {
    if (!stored.ok()) {
      SetDecisions(absl::StrCat("waits for the coordinator's disk: ", stored.message()));
      return EndTick();
    }
    CancelNext(cancels, [this, submits] {
      SubmitNext(std::deque<Planned>(submits.begin(), submits.end()));
    });
  });
}

void Autoscaler::Loop::Flush(std::function<void(absl::Status)> then) {
  AllocationTracker::Changes changes = tracker_.TakeChanges();
  if (changes.empty()) return then(absl::OkStatus());
  records_.Save(changes.pools, changes.allocations,
                Bind([this, changes, then](absl::Status stored) {
                  if (!stored.ok()) {
                    spdlog::warn("pools: cannot store their state: {}", stored.ToString());
                    tracker_.PutBack(changes);
                  }
                  then(stored);
                }));
}

void Autoscaler::Loop::CancelNext(std::vector<std::string> keys, std::function<void()> then) {
  if (keys.empty()) return then();
  // Those of one cluster with one command.
  std::vector<std::string> ids, rest;
  std::string cluster;
  for (const std::string& key : keys) {
    const AllocationRow* const row = tracker_.FindAllocation(key);
    if (row == nullptr || row->job_id.empty()) continue;
    const PoolRow* const pool = tracker_.FindPool(row->pool);
    const std::string of = pool == nullptr ? "" : pool->spec.cluster;
    if (ids.empty()) cluster = of;
    if (of != cluster) {
      rest.push_back(key);
      continue;
    }
    ids.push_back(row->job_id);
    spdlog::info("pool {}: cancels job {} if it still waits", row->pool, row->job_id);
  }
  if (ids.empty()) return then();
  poll_now_ = true;
  batch_.CancelQueued(ids, cluster, Bind([this, rest, then](absl::Status status) {
                        // The queue says what became of them.
                        if (!status.ok()) spdlog::warn("pools: {}", status.ToString());
                        CancelNext(rest, then);
                      }));
}

void Autoscaler::Loop::SubmitNext(std::deque<Planned> submits) {
  if (submits.empty() || closing_) return EndTick();
  const Planned next = submits.front();
  submits.pop_front();
  PoolRow* const pool = tracker_.FindPool(next.pool);
  // A refusal in this tick, or a command, has changed the pool meanwhile.
  if (pool == nullptr || pool->removed || pool->mode != PoolMode::kRunning ||
      pool->backoff_until_ms > Now().now_ms || memory_[next.pool].site_backlog != UINT32_MAX) {
    return SubmitNext(std::move(submits));
  }
  const AllocationRow row = tracker_.Intend(pool, next.walltime_s, Now());
  Submission submission;
  submission.key = row.key;
  submission.cluster = pool->spec.cluster;
  submission.log_dir = pool->spec.log_dir;
  submission.script = WriteScript(pool->spec, row.key, row.walltime_s, pool->excluded);
  records_.Save(
      {*pool}, {row}, Bind([this, row, submission, submits](absl::Status stored) {
        if (!stored.ok()) {
          spdlog::warn("pool {}: submits nothing, since its row cannot be stored: {}", row.pool,
                       stored.ToString());
          SetDecisions(absl::StrCat("waits for the coordinator's disk: ", stored.message()));
          return EndTick();
        }
        tracker_.Begin(row);
        if (closing_) return;  // the next start finds that it was never queued
        batch_.Submit(submission, Bind([this, key = row.key, submits](SubmitResult result) {
                        Submitted(key, result, submits);
                      }));
      }));
}

void Autoscaler::Loop::Submitted(const std::string& key, const SubmitResult& result,
                                 std::deque<Planned> rest) {
  tracker_.ApplySubmit(key, result, Now());
  const AllocationRow* const row = tracker_.FindAllocation(key);
  if (result.kind == SubmitResult::Kind::kLimit && row != nullptr) {
    uint32_t queued = 0;
    for (const auto& entry : tracker_.allocations()) {
      const AllocationState state = entry.second.state;
      queued += entry.second.pool == row->pool &&
                (state == AllocationState::kQueued || state == AllocationState::kIntended);
    }
    memory_[row->pool].site_backlog = queued;
    memory_[row->pool].site_limit_until = clock_.Monotonic() + kSiteLimit;
  }
  Flush([this, rest = std::move(rest)](absl::Status) { SubmitNext(rest); });
}

void Autoscaler::Loop::SetDecision(const std::string& pool, const std::string& text) {
  PoolRow* const row = tracker_.FindPool(pool);
  if (row == nullptr) return;
  row->decision = options_.dry_run ? absl::StrCat("dry run: ", text) : text;
  row->decided_ms = Now().now_ms;
  if (!options_.dry_run || memory_[pool].logged == row->decision) return;
  memory_[pool].logged = row->decision;
  spdlog::info("pool {}: {}", pool, row->decision);
}

void Autoscaler::Loop::SetDecisions(const std::string& text) {
  for (const auto& entry : tracker_.pools()) SetDecision(entry.first, text);
}

void Autoscaler::Loop::ReadTails() {
  for (const std::string& key : tracker_.TakeFailed()) {
    const AllocationRow* const row = tracker_.FindAllocation(key);
    const PoolRow* const pool = row == nullptr ? nullptr : tracker_.FindPool(row->pool);
    if (pool == nullptr) continue;
    disk_.Add([path = OutputPath(pool->spec, key), done = Bind([this, key](std::string tail) {
                                                     tracker_.SetOutputTail(key, std::move(tail));
                                                   })] {
      absl::StatusOr<std::string> tail = OutputTail(path, kTailLines);
      done(tail.ok() ? *std::move(tail) : absl::StrCat("(", tail.status().message(), ")"));
    });
  }
}

}  // namespace coppice::pools
