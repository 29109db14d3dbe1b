#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/commands.h"
#include "coordinator/core/views.h"

namespace coppice::core {

absl::Status CheckDeletable(const SweepRow& sweep, const std::vector<GroupRow>& groups,
                            const Deletion& deletion) {
  if (deletion.id != 0 && deletion.id != sweep.id) {
    return absl::FailedPreconditionError(
        absl::StrCat("the sweep '", sweep.name,
                     "' is another one by now: the one of that name was deleted, and the name was "
                     "given again"));
  }
  for (const GroupRow& group : groups) {
    if (!group.continuing) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("sweep '", sweep.name,
                     "' is being extended, and some of its jobs are about to go on: try again "
                     "later, and cancel them then"));
  }
  if (sweep.unfinished == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("sweep '", sweep.name, "' has ", sweep.unfinished,
                   sweep.unfinished == 1 ? " job that has" : " jobs that have",
                   " not ended: wait for the end, or run 'coppice cancel ", sweep.name, "' first"));
}

absl::StatusOr<SweepSummary> MarkDeleted(CommandContext& tx, const Caller& caller,
                                         const Deletion& deletion) {
  COPPICE_ASSIGN_OR_RETURN(const std::optional<SweepRow> sweep, tx.read().FindSweep(deletion.name));
  if (!sweep.has_value())
    return absl::NotFoundError(absl::StrCat("no sweep named '", deletion.name, "'"));
  COPPICE_ASSIGN_OR_RETURN(const std::vector<GroupRow> groups,
                           tx.read().ListGroupCounts(sweep->id));
  COPPICE_RETURN_IF_ERROR(CheckDeletable(*sweep, groups, deletion));
  SweepSummary summary = MakeSummary(*sweep, groups, tx.memory().leases);
  COPPICE_RETURN_IF_ERROR(tx.write().MarkSweepDeleted(sweep->id));
  SweepDeleted change{sweep->id, {}};
  change.groups.reserve(groups.size());
  for (const GroupRow& group : groups) change.groups.push_back(group.id);
  tx.AfterCommit(std::move(change));
  tx.effects().finished.push_back(sweep->id);
  // There is no operation to note: the sweep's operations go with it.
  tx.Say(LogLine::kInfo,
         absl::StrCat("sweep ", sweep->name, " (id ", sweep->id, ", ", summary.counts.total(),
                      " jobs): deleted by ", Describe(caller)));
  return summary;
}

absl::StatusOr<bool> DeletePart(CommandContext& tx, SweepId id) {
  COPPICE_ASSIGN_OR_RETURN(DeletedPart part,
                           tx.write().DeletePartOfSweep(id, tx.memory().options.jobs_a_part));
  auto& deleted = tx.effects().deleted;
  deleted.insert(deleted.end(), std::make_move_iterator(part.checkpoints.begin()),
                 std::make_move_iterator(part.checkpoints.end()));
  if (part.gone)
    tx.Say(LogLine::kInfo, absl::StrCat("nothing is left of the deleted sweep with id ", id));
  return part.gone;
}

}  // namespace coppice::core
