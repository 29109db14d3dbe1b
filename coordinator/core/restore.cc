#include "coordinator/core/restore.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/command_context.h"
#include "coordinator/core/memory.h"

namespace coppice::core {
namespace {

std::string TimeText(int64_t ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

absl::StatusOr<AttemptNumber> NewFloor(ReadTransaction& read, int64_t now_ms, int64_t backup_ms) {
  COPPICE_ASSIGN_OR_RETURN(const AttemptNumber before, read.GetAttemptFloor());
  const int64_t known = std::max(backup_ms, static_cast<int64_t>(before));
  if (now_ms <= known) {
    return absl::FailedPreconditionError(
        absl::StrCat("this machine's clock says ", TimeText(now_ms), ", but the backup is from ",
                     TimeText(known), ": set the clock right, then restore again"));
  }
  return static_cast<AttemptNumber>(now_ms);
}

// Ends the attempts that ran when the backup was taken.
absl::StatusOr<uint64_t> ReleaseRunning(CommandContext& tx, const GroupRow& group,
                                        const std::string& cause) {
  std::vector<JobRow> running;
  COPPICE_RETURN_IF_ERROR(tx.read().ScanJobs(group.first_job, group.first_job + group.jobs - 1,
                                             StateSet({JobState::kRunning}),
                                             [&](const JobRow& job) {
                                               running.push_back(job);
                                               return true;
                                             }));
  for (const JobRow& job : running) {
    JobRow after = job;
    after.reason = cause;
    COPPICE_RETURN_IF_ERROR(tx.EndAttempt(job, JobTrigger::kRelease, std::move(after),
                                          {AttemptOutcome::kReleased, cause, job.step}));
  }
  return running.size();
}

}  // namespace

absl::StatusOr<RestoreSummary> PrepareRestored(Store& store, Clock& clock, int64_t backup_ms) {
  const int64_t now_ms = clock.NowMillis();
  const std::string cause = absl::StrCat(
      "restored from a backup", backup_ms == 0 ? "" : absl::StrCat(" of ", TimeText(backup_ms)),
      "; what was reported since is lost");
  const Memory memory{CoordinatorOptions()};
  RestoreSummary summary;
  const absl::Status status = store.RunInTransaction([&](WriteTransaction& write) -> absl::Status {
    Effects unused;  // there is no memory to change, and there are no watchers
    CommandContext tx(&write, &memory, &unused, now_ms, clock.Monotonic());
    COPPICE_ASSIGN_OR_RETURN(summary.attempt_floor, NewFloor(tx.read(), now_ms, backup_ms));
    COPPICE_RETURN_IF_ERROR(write.SetAttemptFloor(summary.attempt_floor));
    // The incarnations assigned since the backup are also unknown.
    COPPICE_ASSIGN_OR_RETURN(const uint64_t incarnations, tx.read().GetIncarnations());
    COPPICE_RETURN_IF_ERROR(
        write.SetIncarnations(std::max<uint64_t>(incarnations, summary.attempt_floor)));
    COPPICE_ASSIGN_OR_RETURN(const auto sweeps, tx.read().ListSweeps());
    summary.sweeps = sweeps.size();
    for (const SweepRow& sweep : sweeps) {
      summary.unfinished += sweep.unfinished;
      COPPICE_ASSIGN_OR_RETURN(const auto groups, tx.read().ListGroups(sweep.id));
      for (const GroupRow& group : groups) {
        summary.jobs += group.jobs;
        COPPICE_ASSIGN_OR_RETURN(const uint64_t released, ReleaseRunning(tx, group, cause));
        summary.released += released;
      }
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return summary;
}

}  // namespace coppice::core
