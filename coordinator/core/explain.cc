#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/lost_attempts.h"
#include "coordinator/core/views.h"

namespace coppice::core {
namespace {

std::string At(int64_t ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

std::string Ago(absl::Duration duration) {
  return absl::StrCat(absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1))), " ago");
}

std::string Jobs(uint64_t count) { return absl::StrCat(count, count == 1 ? " job" : " jobs"); }

// Collects sentences about one job, the most important first.
class Explainer {
 public:
  Explainer(CommandContext& tx, const JobRow& row, const GroupInfo& group)
      : tx_(tx), row_(row), group_(group) {}

  std::vector<std::string> Explain() {
    if (const std::string& trouble = tx_.memory().store_trouble; !trouble.empty()) {
      Say("The coordinator takes no changes now: ", trouble,
          ". Workers keep what they have to report and try again.");
    }
    switch (row_.state) {
      case JobState::kPending:
        ExplainPending();
        break;
      case JobState::kRunning:
        ExplainRunning();
        break;
      case JobState::kSucceeded:
        Say("It succeeded at ", At(row_.finished_ms), " with attempt ", row_.attempt, ", at step ",
            row_.step, ".");
        break;
      case JobState::kFailed:
        ExplainFailed();
        break;
      case JobState::kCancelled:
        Say("It was cancelled at ", At(row_.finished_ms), ", at step ", row_.step, ".");
        Say("`coppice retry` makes it wait for a worker again; it goes on from step ",
            row_.checkpoint_step, ".");
        break;
    }
    return std::move(reasons_);
  }

 private:
  template <typename... Parts>
  void Say(const Parts&... parts) {
    reasons_.push_back(absl::StrCat(parts...));
  }

  void ExplainPending() {
    const bool paused = tx_.memory().catalog.paused(row_.sweep_id);
    if (paused)
      Say("The sweep ", group_.sweep->name,
          " is paused: `coppice resume` lets its jobs start again.");
    const bool waits = row_.not_before_ms > tx_.now_ms();
    if (waits) {
      Say(row_.failures > 0 ? "It failed before" : "Its workers vanished", " and it waits until ",
          At(row_.not_before_ms), " (",
          absl::FormatDuration(absl::Milliseconds(row_.not_before_ms - tx_.now_ms())),
          " more) before it is tried again.");
    }
    if (const bool workers = ExplainWorkers(); workers && !paused && !waits) ExplainPlace();
    if (row_.attempts > 0) {
      Say("It had ", row_.attempts, row_.attempts == 1 ? " attempt" : " attempts",
          " and goes on from step ", row_.checkpoint_step, " of ", group_.spec.steps, ".",
          row_.reason.empty() ? "" : absl::StrCat(" The last one ended: ", row_.reason, "."));
    }
    ExplainCharge();
    ExplainLost();
  }

  // True if some worker may take jobs.
  bool ExplainWorkers() {
    size_t connected = 0;
    size_t taking = 0;
    size_t suspect = 0;
    size_t programs = 0;
    for (const WorkerEntry* worker : tx_.memory().workers.All()) {
      if (!IsConnected(*worker, tx_.memory().options.lease, tx_.now())) continue;
      ++connected;
      if (worker->draining()) continue;
      ++taking;
      if (worker->row.info.programs) ++programs;
      const auto suspicion =
          tx_.memory().dispatcher.health.SuspicionOf(worker->row.info.name, tx_.now());
      if (suspicion.has_value()) ++suspect;
    }
    if (connected == 0) {
      Say("No worker is connected: start coppice-worker on a machine that can reach this "
          "coordinator.");
    } else if (taking == 0) {
      Say("Every connected worker (", connected,
          ") is draining: `coppice drain --undo` lets one take jobs again, or start another.");
    } else if (group_.spec.program_pack > 0 && programs == 0) {
      Say("No connected worker allows programs: start one with --programs.");
      return false;
    } else if (suspect == taking) {
      Say("Every worker that takes jobs (", taking, ") has failed whatever it got: `coppice ",
          "workers` says how. It is tried on them all the same.");
    } else if (suspect > 0) {
      Say(suspect, suspect == 1 ? " worker is" : " workers are",
          " passed over because several jobs in a row failed there: `coppice workers` says how.");
    }
    return taking > 0;
  }

  void ExplainPlace() {
    const auto ahead =
        tx_.memory().dispatcher.scheduler.CountAhead(row_.group_id, row_.id, row_.checkpoint_step);
    if (ahead.by_priority > 0)
      Say("About ", Jobs(ahead.by_priority), " of higher priority come first.");
    if (ahead.by_work > 0) {
      Say("About ", Jobs(ahead.by_work),
          " of the same priority with more work left (or the same and further on) come first.");
    }
    if (ahead.by_priority + ahead.by_work == 0)
      Say("It is among the next: it starts as soon as a slot is free.");
  }

  void ExplainRunning() {
    const auto lease = tx_.memory().leases.Find(row_.id);
    if (!lease.has_value()) {
      Say("It runs on ", row_.worker, ".");
      return;
    }
    const uint32_t step = std::max(row_.step, lease->live_step);
    Say("It runs on ", row_.worker, " (", AllocationOf(row_.worker), "attempt ", row_.attempt,
        ") at step ", step, " of ", group_.spec.steps, ", ",
        absl::StrFormat("%.3g", tx_.memory().leases.RateOf(*lease)), " steps a second.");
    ExplainSilence(*lease);
    const absl::Duration silent = tx_.now() - lease->renewed_at;
    if (silent > 2 * tx_.memory().options.heartbeat_interval) {
      Say("Its worker was last heard of ", Ago(silent), "; if it stays silent, the lease ends in ",
          absl::FormatDuration(absl::Trunc(lease->deadline - tx_.now(), absl::Seconds(1))),
          " and the job goes to another worker.");
    } else {
      Say("Its lease was renewed ", Ago(silent), ".");
    }
    if (tx_.memory().catalog.paused(row_.sweep_id)) {
      Say("The sweep is paused: its worker is asked to write a checkpoint and give it back.");
    }
    Say("Its current checkpoint is at step ", row_.checkpoint_step, ".");
    ExplainCharge();
  }

  // "Slurm job 120_4 on node n3 in partition low, ", or nothing.
  std::string AllocationOf(const std::string& worker) const {
    const WorkerEntry* entry = tx_.memory().workers.FindByName(worker);
    if (entry == nullptr || entry->row.info.allocation.job_id.empty()) return "";
    const Allocation& allocation = entry->row.info.allocation;
    const std::string& node = allocation.node.empty() ? entry->row.info.host : allocation.node;
    return absl::StrCat(allocation.system == "slurm" ? "Slurm job " : "batch job ",
                        allocation.job_id, node.empty() ? "" : " on node " + node,
                        allocation.partition.empty() ? "" : " in partition " + allocation.partition,
                        ", ");
  }

  void ExplainSilence(const LeaseEntry& lease) {
    const absl::Duration silence = tx_.memory().leases.SilenceOf(lease);
    if (silence <= absl::ZeroDuration()) return;
    Say("There was no report for ", absl::ToInt64Seconds(silence), " s: its trainer hangs, or a ",
        "step takes that long, or its worker is silent. After ",
        absl::FormatDuration(absl::Trunc(lease.stall_limit, absl::Seconds(1))),
        " without one the worker ends the attempt; that is charged, and it is tried again ",
        "(`report.stall_seconds` of the sweep sets another limit).");
  }

  void ExplainFailed() {
    Say("It failed for good at ", At(row_.finished_ms), ", at step ", row_.step, ": ", row_.reason,
        ".");
    Say("`coppice logs ", row_.id, "` shows what its trainer wrote, `coppice show ", row_.id,
        "` every attempt.");
    Say("When the cause is gone, `coppice retry` gives it new attempts from step ",
        row_.checkpoint_step, ".");
  }

  void ExplainCharge() {
    if (row_.failures == 0) return;
    Say("It has failed ", row_.failures, row_.failures == 1 ? " time" : " times",
        " without progress; ", group_.sweep->max_failures, " end it.");
  }

  void ExplainLost() {
    const auto lost = CountLostInARow(tx_.read(), row_);
    if (!lost.ok() || lost->attempts < 2) return;
    for (const std::string& name : lost->workers) {
      const WorkerEntry* worker = tx_.memory().workers.FindByName(name);
      if (worker == nullptr || worker->row.superseded_ms < lost->since_ms) continue;
      Say("Note: ", DescribeLost(*lost, row_.best_step), ". Two processes say that they are ", name,
          ", on ", worker->row.superseded_host, " and on ", worker->row.info.host,
          ", and each took the name from the other: give every worker a --name of its own. It is ",
          "not charged for it.");
      return;
    }
    Say("Note: ", DescribeLost(*lost, row_.best_step),
        ". Machines that are taken away look like this, and so does a job that takes its machine ",
        "down: if other jobs get on, look at the machines' memory and kernel logs. It is not ",
        "charged for it.");
  }

  CommandContext& tx_;
  const JobRow& row_;
  const GroupInfo& group_;
  std::vector<std::string> reasons_;
};

}  // namespace

absl::StatusOr<Explanation> ExplainJob(CommandContext& tx, JobId id) {
  COPPICE_ASSIGN_OR_RETURN(const JobRow row, tx.read().GetJob(id));
  COPPICE_ASSIGN_OR_RETURN(const auto group, GroupOf(tx, row));
  return Explanation{MakeJob(row, tx.memory().catalog, tx.memory().leases),
                     Explainer(tx, row, *group).Explain()};
}

}  // namespace coppice::core
