#include "bench/control_plane/checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bench/control_plane/sweeps.h"
#include "common/base/status_macros.h"

namespace coppice::bench {
namespace {

absl::Status CheckCounts(Client* client, const char* sweep, uint64_t jobs) {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse answer, client->GetSweep(sweep));
  const v1::JobCounts& counts = answer.sweep().counts();
  const uint64_t sum = counts.pending() + counts.running() + counts.succeeded() + counts.failed() +
                       counts.cancelled();
  if (sum == jobs && counts.failed() == 0 && counts.cancelled() == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("sweep ", sweep, " has ", counts.ShortDebugString(),
                                          ": together ", sum, " of ", jobs, " jobs"));
}

}  // namespace

absl::StatusOr<uint64_t> CheckNothingLost(const Options& options, Client* client,
                                          const Acknowledged& before) {
  absl::flat_hash_set<uint64_t> succeeded;
  absl::flat_hash_map<uint64_t, uint64_t> running, pending;  // job -> attempt
  // A held job whose lease has ended is like any other.
  for (const char* sweep : {kLarge, kHeld}) {
    COPPICE_RETURN_IF_ERROR(client->EachJob(
        sweep, v1::SUCCEEDED, [&](const v1::Job& job) { succeeded.insert(job.id()); }));
    COPPICE_RETURN_IF_ERROR(client->EachJob(
        sweep, v1::RUNNING, [&](const v1::Job& job) { running[job.id()] = job.attempt(); }));
    COPPICE_RETURN_IF_ERROR(client->EachJob(
        sweep, v1::PENDING, [&](const v1::Job& job) { pending[job.id()] = job.attempt(); }));
  }
  for (const uint64_t job : before.completed) {
    if (!succeeded.contains(job)) {
      return absl::DataLossError(absl::StrCat(
          "job ", job, " was acknowledged as complete and is not SUCCEEDED after the restart"));
    }
  }
  uint64_t ended = 0;
  for (const auto& [job, attempt] : before.leases) {
    if (succeeded.contains(job)) continue;
    const auto it = running.find(job);
    if (it != running.end() && it->second == attempt) continue;
    if (std::max(pending[job], it == running.end() ? 0 : it->second) < attempt) {
      return absl::DataLossError(absl::StrCat("the grant of job ", job, ", attempt ", attempt,
                                              " is gone after the restart"));
    }
    ++ended;  // the coordinator has ended it, and its answer was lost
  }
  const uint64_t unknown = succeeded.size() - before.completed.size();
  if (unknown > before.leases.size()) {
    return absl::DataLossError(absl::StrCat(unknown,
                                            " jobs have succeeded without an acknowledgement, ",
                                            before.leases.size(), " were under way"));
  }
  uint64_t held = 0;
  absl::Status rows;
  COPPICE_RETURN_IF_ERROR(client->EachJob(kHeld, v1::RUNNING, [&](const v1::Job& job) {
    ++held;
    const auto it = before.row_steps.find(job.id());
    // A second attempt began from the start, so the rows of the first are archived.
    if (it == before.row_steps.end() || job.step() >= it->second || job.attempt() > 1) return;
    rows.Update(absl::DataLossError(absl::StrCat("job ", job.id(), " stands at step ", job.step(),
                                                 ", acknowledged was ", it->second)));
  }));
  COPPICE_RETURN_IF_ERROR(rows);
  const uint64_t all_held = uint64_t{options.workers} * options.held;
  ended += all_held - held;
  COPPICE_RETURN_IF_ERROR(CheckCounts(client, kLarge, options.jobs / 10 * 10));
  COPPICE_RETURN_IF_ERROR(CheckCounts(client, kHeld, all_held));
  return ended;
}

}  // namespace coppice::bench
