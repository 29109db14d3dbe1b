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
  // Timers keep a probe for a while, which must not keep its caller waiting.
  for (const auto& entry : std::exchange(probes_, {})) entry.second->Drop();
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
                  loaded_ms_ = Now().now_ms;
                  loaded_at_ = clock_.Monotonic();
                  Schedule(absl::ZeroDuration());
                }));
}

void Autoscaler::Loop::Nudge() {
  nudged_ = true;
  if (!ticking_) Schedule(kNudged);
}

void Autoscaler::Loop::TickNow(std::function<void()> done) {
  poll_now_ = true;
  after_next_tick_.push_back(std::move(done));
  nudged_ = true;
  if (!ticking_ && loaded_) Schedule(absl::ZeroDuration());
}

void Autoscaler::Loop::NoteRegistered(const std::string& key) {
  tracker_.ApplyRegistered(key, Now());
  if (tracker_.ExpectsNews(Now())) Nudge();
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
  nudged_ = polled_in_tick_ = false;
  const bool stopped = StoppedByFile();
  if (stopped != stopped_by_file_) {
    spdlog::warn("pools: {} {}; {}", options_.stop_file, stopped ? "is there" : "is gone",
                 stopped ? "nothing is submitted or cancelled" : "they go on");
  }
  stopped_by_file_ = stopped;
  tracker_.Forget(Now());
  if (const std::string absent = batch_.Absent(); !absent.empty()) {
    SetDecisions(absl::StrCat("waits: ", absent));
    return EndTick();
  }
  after_this_tick_ = std::exchange(after_next_tick_, {});
  if (PollIsDue()) return Poll([this] { AskDemand(); });
  AskDemand();
}

void Autoscaler::Loop::EndTick() {
  ticking_ = false;
  ReadTails();
  for (const std::function<void()>& done : std::exchange(after_this_tick_, {})) done();
  const bool idle = tracker_.pools().empty() && !tracker_.HasAlive();
  if (nudged_) return Schedule(kNudged);
  if (!idle) Schedule(kTick);
}

bool Autoscaler::Loop::PollIsDue() const {
  if (!tracker_.HasAlive()) return false;
  if (!polled_once_ || poll_now_) return true;
  const absl::Duration interval = trouble_.empty() && tracker_.ExpectsNews(Now()) ? kPollNews
                                  : tracker_.Waits()                              ? kPollWaiting
                                                                                  : kPollRunning;
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
  polled_in_tick_ = true;
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
    // A worker that has just gone may have left its place to another one.
    if (!polled_in_tick_ && PollIsDue()) return Poll([this] { AskDemand(); });
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
  NoteUsage(demand);
  NoteSweepUse(demand);
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
  if (submits.empty()) StoreSweepUse();
  Execute(std::move(submits), std::move(cancels));
}

void Autoscaler::Loop::SetDecision(const std::string& pool, const std::string& text) {
  PoolRow* const row = tracker_.FindPool(pool);
  if (row == nullptr) return;
  row->decision = options_.dry_run ? absl::StrCat("dry run: ", text) : text;
  row->decided_ms = Now().now_ms;
  const bool logs = options_.dry_run || row->spec.watch_only;
  if (!logs || memory_[pool].logged == row->decision) return;
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
