#ifndef COPPICE_COORDINATOR_POOLS_POOL_DECIDER_H_
#define COPPICE_COORDINATOR_POOLS_POOL_DECIDER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "coordinator/pools/holdings.h"
#include "coordinator/pools/policy.h"

namespace coppice::pools {

inline uint64_t CeilDiv(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b + (a % b != 0); }

// Purpose: decides for one pool. Owner: Decide, for one call. Not thread-safe; it refers to its
// arguments.
class PoolDecider {
 public:
  PoolDecider(const PoolInput& input, Holdings holdings, uint64_t slots, const Demand& demand,
              int64_t now_ms);

  // Before Run. `seconds`: GPU time that its sweeps may still get. `spent`: why the pool may serve
  // none of the work that waits; empty: it may.
  void LimitSweeps(double seconds, std::string spent);

  // `open`: slots that the work needs beyond the connected ones. `slots_in_all`: connected ones.
  // `no_more`: why it needs none, if it does not.
  void Run(uint64_t open, uint64_t slots_in_all, std::string no_more);

  // Slots beyond the connected ones that later pools need not think of. `certain`: only those of
  // allocations that have started.
  uint64_t Covered(bool certain) const;

  PoolDecision Take() { return std::move(decision_); }

 private:
  void Submit(uint64_t missing, uint64_t slots_in_all);
  // Why the pool submits nothing at all; empty: it may.
  std::string Obstacle() const;
  void AddSubmits(uint64_t count, uint64_t slots_in_all);
  std::string TooShort() const;
  std::string BudgetText() const;
  void Cancel(uint64_t excess);
  std::string IdleText() const;

  const PoolRow& row_;
  const PoolSpec& spec_;
  const int64_t excess_since_ms_;
  const uint32_t site_backlog_;
  const Holdings held_;
  const uint64_t slots_;
  const Demand& demand_;
  const int64_t now_ms_;
  std::string no_more_;
  uint64_t more_ = 0;  // allocations wanted beyond the connected ones
  double sweep_seconds_left_ = std::numeric_limits<double>::infinity();
  std::string spent_;
  bool limited_by_max_ = false, too_short_ = false;
  bool out_of_budget_ = false, out_of_sweep_budget_ = false;  // the second: because of its sweeps
  PoolDecision decision_;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_POOL_DECIDER_H_
