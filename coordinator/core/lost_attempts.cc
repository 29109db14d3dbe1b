#include "coordinator/core/lost_attempts.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/core/views.h"

namespace coppice::core {

absl::StatusOr<LostInARow> CountLostInARow(ReadTransaction& read, const JobRow& job) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<AttemptRow> attempts, read.ListAttempts(job.id));
  LostInARow lost;
  uint32_t furthest = 0;
  for (size_t i = 0; i < attempts.size(); ++i) {
    const AttemptRow& attempt = attempts[i];
    // These attempts count neither for nor against the job.
    if (attempt.mark != AttemptMark::kNone) continue;
    // The next attempt started at the checkpoint that this one left.
    const uint32_t checkpoint =
        i + 1 < attempts.size() ? attempts[i + 1].start_step : job.checkpoint_step;
    const uint32_t reached = std::max({attempt.start_step, attempt.row_step, checkpoint});
    const bool progress = reached > furthest;
    furthest = std::max(furthest, reached);
    const bool ended_lost =
        attempt.outcome == AttemptOutcome::kExpired || attempt.outcome == AttemptOutcome::kRunning;
    if (progress || !ended_lost || attempt.number <= job.forgiven_attempt) {
      lost = LostInARow();
      continue;
    }
    if (lost.attempts++ == 0) lost.since_ms = attempt.granted_ms;
    lost.workers.insert(attempt.worker);
  }
  return lost;
}

absl::Duration LostBackoff(uint32_t attempts) {
  if (attempts < 3) return absl::ZeroDuration();
  const absl::Duration wait = absl::Seconds(30) * (1u << std::min(attempts - 3, 10u));
  return std::min(wait, kLongestLostBackoff);
}

std::string DescribeLost(const LostInARow& lost, uint32_t step) {
  return absl::StrCat("its last ", lost.attempts, " workers (", lost.workers.size(),
                      lost.workers.size() == 1 ? " name" : " different ones",
                      ") vanished while they held it, and it got no further than step ", step);
}

}  // namespace coppice::core
