#include "coordinator/pools/policy.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/pools/holdings.h"
#include "coordinator/pools/pool_decider.h"
#include "coordinator/pools/sweep_budget.h"

namespace coppice::pools {
namespace {

// Slots that the work fills for as long as one is worth it.
uint64_t SlotsWorthIt(const PoolSpec& spec, const Demand& demand) {
  if (demand.seconds_left < 0) return UINT64_MAX;
  const double useful = std::max(kUsefulSeconds, static_cast<double>(spec.min_walltime_s));
  const double slots = std::ceil(demand.seconds_left / useful);
  // Work that waits needs one slot, however little it is.
  return static_cast<uint64_t>(std::clamp(slots, 1.0, 1e9));
}

bool RunsPrograms(const PoolSpec& spec) {
  return std::find(spec.worker_flags.begin(), spec.worker_flags.end(), "--programs") !=
         spec.worker_flags.end();
}

bool HasWaited(const PoolSpec& spec, const Demand& demand, int64_t now_ms) {
  return demand.oldest_waiting_ms > 0 &&
         now_ms - demand.oldest_waiting_ms >= spec.wait_before_s * 1000;
}

// Why a pool needs no slots beyond the connected ones. `waiting`: slots for which work waits.
// `open`: those of them that no earlier pool covers. `room`: those that the work left is worth.
std::string NoMore(const PoolSpec& spec, const Demand& demand, uint64_t waiting, uint64_t open,
                   uint64_t room) {
  if (demand.grantable_jobs == 0) return "no work waits";
  if (waiting == 0) return "idle slots take the work that waits";
  if (open == 0) return "another pool serves the work that waits";
  if (room == 0) return "the work left is too short for another allocation";
  return absl::StrCat("it asks once work has waited for ", spec.wait_before_s, " s");
}

// The work that a pool may serve.
struct Offer {
  const PoolInput* pool = nullptr;
  Demand demand;                  // without workers
  double sweep_seconds_left = 0;  // GPU time for its sweeps
  std::string spent;              // why it may serve none of the work that waits; empty: it may
};

std::vector<Offer> MakeOffers(const std::vector<const PoolInput*>& pools, const Demand& demand) {
  std::vector<Offer> offers;
  offers.reserve(pools.size());
  for (const PoolInput* pool : pools) {
    const bool programs = RunsPrograms(pool->row.spec);
    Offer offer{pool, AffordableDemand(pool->row, demand, programs),
                SweepSecondsLeft(pool->row, demand), ""};
    const uint64_t plain = demand.grantable_jobs - std::min(demand.program_jobs,  //
                                                            demand.grantable_jobs);
    if (offer.demand.grantable_jobs == 0 && (programs ? demand.grantable_jobs : plain) > 0) {
      offer.spent = SpentText(pool->row, demand);
    }
    offers.push_back(std::move(offer));
  }
  return offers;
}

// Pools whose idle workers get none of the work that waits.
std::set<std::string> UselessPools(const std::vector<Offer>& offers) {
  std::set<std::string> useless;
  for (const Offer& offer : offers) {
    if (!offer.spent.empty()) useless.insert(offer.pool->row.spec.name);
  }
  return useless;
}

// Grantable jobs that at least one of the pools takes, but for limits on sweeps.
uint64_t MostJobs(const std::vector<Offer>& offers, const Demand& demand) {
  const bool any_programs = std::any_of(offers.begin(), offers.end(), [](const Offer& offer) {
    return RunsPrograms(offer.pool->row.spec);
  });
  if (any_programs) return demand.grantable_jobs;
  return demand.grantable_jobs - std::min(demand.program_jobs, demand.grantable_jobs);
}

}  // namespace

std::vector<PoolDecision> Decide(const std::vector<PoolInput>& pools,
                                 const std::vector<AllocationRow>& allocations,
                                 const Demand& demand, int64_t now_ms) {
  std::vector<const PoolInput*> order;
  for (const PoolInput& pool : pools) {
    if (!pool.row.removed) order.push_back(&pool);
  }
  std::sort(order.begin(), order.end(), [](const PoolInput* a, const PoolInput* b) {
    return std::make_pair(a->row.spec.rank, a->row.spec.name) <
           std::make_pair(b->row.spec.rank, b->row.spec.name);
  });
  const WorkersByKey workers = ByKey(demand);
  const std::vector<Offer> offers = MakeOffers(order, demand);
  const Connected connected = CountConnected(demand, UselessPools(offers), now_ms);
  const uint64_t width = std::max(1u, demand.width);
  const uint64_t taken = connected.idle * width;
  const auto waiting_of = [taken](uint64_t jobs) { return jobs > taken ? jobs - taken : 0; };
  // The rest for the next pool: of all that is needed, and of what no allocation has started
  // for.
  const uint64_t needed = CeilDiv(waiting_of(MostJobs(offers, demand)), width);
  uint64_t open = needed, unstarted = needed;
  std::vector<PoolDecision> decisions;
  for (const Offer& offer : offers) {
    const PoolSpec& spec = offer.pool->row.spec;
    const uint64_t slots = SlotsOfAllocation(spec, allocations, workers);
    const Demand& own = offer.demand;
    PoolDecider decider(*offer.pool, CountHoldings(spec.name, allocations, workers, now_ms), slots,
                        own, now_ms);
    decider.LimitSweeps(offer.sweep_seconds_left, offer.spent);
    const uint64_t worth = SlotsWorthIt(spec, own);
    const uint64_t room = worth > connected.slots ? worth - connected.slots : 0;
    const uint64_t mine = CeilDiv(waiting_of(own.grantable_jobs), width);
    const uint64_t uncovered = std::min(mine, spec.wait_before_s > 0 ? unstarted : open);
    const bool early = spec.wait_before_s > 0 && !HasWaited(spec, demand, now_ms);
    decider.Run(early ? 0 : std::min(uncovered, room), connected.slots,
                offer.spent.empty() ? NoMore(spec, own, mine, uncovered, room) : offer.spent);
    open -= std::min(open, decider.Covered(false));
    unstarted -= std::min(unstarted, decider.Covered(true));
    decisions.push_back(decider.Take());
  }
  return decisions;
}

}  // namespace coppice::pools
