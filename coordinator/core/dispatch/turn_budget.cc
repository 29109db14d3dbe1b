#include "coordinator/core/dispatch/turn_budget.h"

#include <algorithm>

namespace coppice::core {

void TurnBudget::BeginTurn(size_t others, bool backlog) {
  left_ = 0;
  if (backlog && ++turns_without_grants_ < kLongestWithoutGrants) return;
  turns_without_grants_ = 0;
  left_ = others == 0 ? kMostJobs : std::clamp(others / 2, kFewestJobs, kMostJobs);
}

}  // namespace coppice::core
