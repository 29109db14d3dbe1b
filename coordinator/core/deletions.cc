#include "coordinator/core/deletions.h"

#include <utility>

#include "common/base/logging.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/queries.h"

namespace coppice::core {

void Deletions::Delete(Caller caller, Deletion deletion, Done<DeletedSweep> done) {
  Caller reader = caller;
  caller.gone = nullptr;  // what has begun goes on
  engine_.Read<DeletedSweep>(
      reader,
      [this, deletion](ReadTransaction& read) {
        return QueryDeletion(read, engine_.memory(), deletion);
      },
      [this, caller = std::move(caller), deletion,
       done = std::move(done)](absl::StatusOr<DeletedSweep> deleted) {
        if (!deleted.ok() || deletion.dry_run) return done(std::move(deleted));
        Deletion counted = deletion;
        counted.id = deleted->sweep.id;  // the figures are this sweep's
        Mark(caller, counted, *std::move(deleted), done);
      });
}

void Deletions::Mark(const Caller& caller, const Deletion& deletion, DeletedSweep deleted,
                     Done<DeletedSweep> done) {
  engine_.Write<SweepSummary>(
      [caller, deletion](CommandContext& tx) { return MarkDeleted(tx, caller, deletion); },
      [this, deleted = std::move(deleted),
       done = std::move(done)](absl::StatusOr<SweepSummary> marked) mutable {
        if (!marked.ok()) return done(marked.status());
        const SweepId id = marked->id;
        deleted.sweep = *std::move(marked);
        done(std::move(deleted));
        Continue(id);
      });
}

void Deletions::Continue(SweepId id) {
  engine_.WritePart<bool>([id](CommandContext& tx) { return DeletePart(tx, id); },
                          [this, id](const absl::StatusOr<bool>& gone) { OnPart(id, gone); },
                          /*bytes=*/0, /*goes_on=*/true);
}

void Deletions::OnPart(SweepId id, const absl::StatusOr<bool>& gone) {
  if (!gone.ok()) {
    if (absl::IsUnavailable(gone.status())) return;  // the next start goes on
    spdlog::warn("the deletion of the sweep with id {} goes on in {}: {}", id,
                 absl::FormatDuration(kRetryAfter), gone.status().ToString());
    return ContinueAfter(id, kRetryAfter);
  }
  if (*gone) return;
  if (engine_.files_waiting() > kMostFilesWaiting) return ContinueAfter(id, kFilesPause);
  Continue(id);
}

void Deletions::ContinueAfter(SweepId id, absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  timers_[id] = clock_.Schedule(wait, [this, id] { Continue(id); });
}

void Deletions::ContinueLeftovers() {
  for (const SweepRow& sweep : engine_.memory().half_deleted) {
    spdlog::info("the deletion of a sweep was cut short and goes on: {}", sweep.name);
    Continue(sweep.id);
  }
}

void Deletions::Shutdown() {
  absl::flat_hash_map<SweepId, Clock::TimerId> timers;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    timers.swap(timers_);
  }
  // Outside the lock: a timer that fires now is waited for.
  for (const auto& timer : timers) clock_.Cancel(timer.second);
}

}  // namespace coppice::core
