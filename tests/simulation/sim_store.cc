#include "tests/simulation/sim_store.h"

#include "common/base/status_macros.h"
#include "tests/simulation/observed_transaction.h"

namespace coppice::simulation {

SimStore::Fate SimStore::DrawFate() {
  if (healed_) return Fate::kCommit;
  Random& random = world_.random();
  if (random.Chance(schedule_.rates.crash_at_commit)) {
    return random.Chance(0.5) ? Fate::kCrashBefore : Fate::kCrashAfter;
  }
  if (full_) return random.Chance(0.9) ? Fate::kFull : Fate::kCommit;
  return random.Chance(schedule_.rates.commit_failed) ? Fate::kIoError : Fate::kCommit;
}

absl::Status SimStore::RunInTransaction(
    absl::FunctionRef<absl::Status(core::WriteTransaction&)> body) {
  if (dead_) return absl::UnavailableError("this process has ended");
  const Fate fate = DrawFate();
  Changes changes;
  const absl::Status status =
      inner_.RunInTransaction([&](core::WriteTransaction& inner) -> absl::Status {
        ObservedTransaction tx(&inner, &schedule_, bug_);
        COPPICE_RETURN_IF_ERROR(body(tx));
        changes = tx.changes();
        if (fate == Fate::kCommit || fate == Fate::kCrashAfter) return absl::OkStatus();
        return absl::InternalError("rolled back");
      });
  if (fate != Fate::kCommit && fate != Fate::kCrashAfter) return Failed(fate);
  if (!status.ok()) return status;
  hooks_.committed(changes);
  if (fate != Fate::kCrashAfter) return absl::OkStatus();
  world_.Trace("the coordinator is killed after a commit");
  world_.Did(Fault::kCrashAfterCommit);
  hooks_.crash();
  return absl::UnavailableError("this process has ended");
}

absl::Status SimStore::Failed(Fate fate) {
  const bool answers_first = bug_ == PlantedBug::kAcknowledgedBeforeCommit;
  if (fate == Fate::kCrashBefore) {
    world_.Trace("the coordinator is killed before a commit");
    world_.Did(Fault::kCrashBeforeCommit);
    if (answers_first) {
      world_.At(absl::Milliseconds(50), hooks_.crash);
      return absl::OkStatus();
    }
    hooks_.crash();
    return absl::UnavailableError("this process has ended");
  }
  world_.Did(fate == Fate::kFull ? Fault::kDatabaseFull : Fault::kCommitFailed);
  world_.Trace("a commit fails");
  if (answers_first) return absl::OkStatus();
  return fate == Fate::kFull ? absl::ResourceExhaustedError("database or disk is full")
                             : absl::InternalError("disk I/O error");
}

absl::Status SimStore::Read(absl::FunctionRef<absl::Status(core::ReadTransaction&)> body) {
  if (dead_) return absl::UnavailableError("this process has ended");
  return inner_.Read(body);
}

}  // namespace coppice::simulation
