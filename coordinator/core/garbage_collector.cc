#include "coordinator/core/garbage_collector.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "coordinator/core/command_context.h"

namespace coppice::core {
namespace {

// Jobs that are listed, read from the store and cleaned up together.
constexpr size_t kJobsAtOnce = 256;
// The pause after a run is at least this many times the run's length.
constexpr int kRestFactor = 10;

using FactsByJob = absl::flat_hash_map<JobId, JobFacts>;

absl::StatusOr<FactsByJob> ReadFacts(ReadTransaction& read, const std::vector<FoundJob>& jobs) {
  FactsByJob all;
  absl::flat_hash_map<SweepId, std::string> names;
  for (const FoundJob& found : jobs) {
    const absl::StatusOr<JobRow> job = read.GetJob(found.job);
    if (absl::IsNotFound(job.status())) continue;
    if (!job.ok()) return job.status();
    std::string& sweep = names[job->sweep_id];
    if (sweep.empty()) {
      COPPICE_ASSIGN_OR_RETURN(const SweepRow row, read.GetSweep(job->sweep_id));
      sweep = row.name;
    }
    JobFacts facts;
    facts.sweep = sweep;
    if (job->state == JobState::kRunning) {
      facts.current_dir = CheckpointDir(sweep, {job->id, job->attempt});
    }
    COPPICE_ASSIGN_OR_RETURN(const auto listed,
                             read.ListCheckpoints(job->id, CheckpointState::kListed));
    for (const Checkpoint& checkpoint : listed) facts.listed.insert(checkpoint.path);
    all.emplace(job->id, std::move(facts));
  }
  return all;
}

}  // namespace

GarbageCollector::GarbageCollector(Store* store, Clock* clock, GarbageOptions options)
    : store_(*store), clock_(*clock), options_(std::move(options)) {}

GarbageCollector::~GarbageCollector() { Shutdown(); }

void GarbageCollector::Start() {
  thread_.Add([this] { RunAndSchedule(); });
}

void GarbageCollector::Shutdown() {
  Clock::TimerId timer = 0;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    timer = std::exchange(timer_, 0);
  }
  stop_ = true;
  // Outside the lock: a timer that fires now waits for it.
  if (timer != 0) clock_.Cancel(timer);
  thread_.Shutdown();
}

void GarbageCollector::RunAndSchedule() {
  const absl::Duration begun = clock_.Monotonic();
  const absl::StatusOr<GarbageReport> report = Collect();
  if (!report.ok()) {
    spdlog::warn("garbage of the checkpoint folder {} is not collected: {}", options_.root,
                 report.status().ToString());
  } else if (report->files + report->folders + report->failures > 0) {
    spdlog::info("garbage collected in {}: {} files, {} bytes, {} folders; {} could not be removed",
                 options_.root, report->files, report->bytes, report->folders, report->failures);
  }
  const absl::Duration pause = std::max(options_.every, kRestFactor * (clock_.Monotonic() - begun));
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  timer_ = clock_.Schedule(pause, [this] { thread_.Add([this] { RunAndSchedule(); }); });
}

absl::StatusOr<bool> GarbageCollector::IsTooSoon() {
  AttemptNumber floor = 0;
  COPPICE_RETURN_IF_ERROR(store_.Read([&](ReadTransaction& read) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(floor, read.GetAttemptFloor());
    return absl::OkStatus();
  }));
  // The floor is the wall time of the restore in milliseconds (restore.h).
  return floor != 0 && clock_.NowMillis() < static_cast<int64_t>(floor) +
                                                absl::ToInt64Milliseconds(options_.after_restore);
}

absl::StatusOr<GarbageReport> GarbageCollector::Collect() {
  GarbageReport report;
  COPPICE_ASSIGN_OR_RETURN(const bool too_soon, IsTooSoon());
  if (too_soon) return report;
  COPPICE_ASSIGN_OR_RETURN(const auto tree, CheckpointTree::Open(options_.root, store_.store_id()));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> sweeps, tree->Sweeps());
  for (const std::string& sweep : sweeps) {
    if (stop_) break;
    COPPICE_RETURN_IF_ERROR(CollectSweep(*tree, sweep, &report));
  }
  return report;
}

absl::Status GarbageCollector::CollectSweep(const CheckpointTree& tree, const std::string& sweep,
                                            GarbageReport* report) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<JobId> jobs, tree.Jobs(sweep));
  std::vector<FoundJob> found;
  for (size_t i = 0; i < jobs.size() && !stop_; ++i) {
    absl::StatusOr<FoundJob> job = tree.Find(sweep, jobs[i]);
    if (job.ok()) {
      found.push_back(*std::move(job));
    } else if (!absl::IsNotFound(job.status())) {
      spdlog::warn("{}", job.status().ToString());
      ++report->failures;
    }
    if (found.size() < kJobsAtOnce && i + 1 < jobs.size()) continue;
    COPPICE_RETURN_IF_ERROR(CollectJobs(tree, found, report));
    found.clear();
  }
  bool known = false;
  COPPICE_RETURN_IF_ERROR(store_.Read([&](ReadTransaction& read) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(const auto row, read.FindSweep(sweep));
    known = row.has_value();
    return absl::OkStatus();
  }));
  if (!known && !stop_) RemoveFolder(tree, sweep, report);
  return absl::OkStatus();
}

absl::Status GarbageCollector::CollectJobs(const CheckpointTree& tree,
                                           const std::vector<FoundJob>& jobs,
                                           GarbageReport* report) {
  FactsByJob facts;
  COPPICE_RETURN_IF_ERROR(store_.Read([&](ReadTransaction& read) -> absl::Status {
    COPPICE_ASSIGN_OR_RETURN(facts, ReadFacts(read, jobs));
    return absl::OkStatus();
  }));
  for (const FoundJob& job : jobs) {
    if (stop_) break;
    const auto it = facts.find(job.job);
    Remove(tree, job, it == facts.end() ? nullptr : &it->second, report);
  }
  return absl::OkStatus();
}

void GarbageCollector::Remove(const CheckpointTree& tree, const FoundJob& job,
                              const JobFacts* facts, GarbageReport* report) {
  const GarbagePlan plan = PlanGarbage(job, facts, clock_.Now(), options_.min_age);
  for (const FoundFile& file : plan.files) {
    const absl::Status removed = tree.RemoveFile(file.path);
    if (!removed.ok()) {
      spdlog::warn("{}", removed.ToString());
      ++report->failures;
      continue;
    }
    spdlog::info("removed {} ({} bytes): no job refers to it", file.path, file.bytes);
    ++report->files;
    report->bytes += file.bytes;
  }
  for (const FoundFile& folder : plan.folders) RemoveFolder(tree, folder.path, report);
  // The folder of a known job stays: its next attempt may be about to create its own folder there.
  if (facts == nullptr || facts->sweep != job.sweep)
    RemoveFolder(tree, absl::StrCat(job.sweep, "/", job.job), report);
}

void GarbageCollector::RemoveFolder(const CheckpointTree& tree, const std::string& path,
                                    GarbageReport* report) {
  const absl::StatusOr<bool> removed = tree.RemoveIfEmpty(path);
  if (removed.ok() && *removed) ++report->folders;
  if (removed.ok() || absl::IsNotFound(removed.status())) return;
  spdlog::warn("{}", removed.status().ToString());
  ++report->failures;
}

}  // namespace coppice::core
