#include "coordinator/pools/policy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace coppice::pools {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kMinuteMs = 60'000;

// The allocations of a pool, each counted once.
struct Holdings {
  uint64_t alive = 0;  // rows that have not ended
  uint32_t queued = 0, running = 0, unclear = 0;
  uint32_t connected = 0;  // allocations whose worker is there and takes work
  uint32_t starting = 0;   // allocations that have started, and whose worker may still come
  uint32_t coming = 0;     // queued, intended or unclear ones
  std::vector<const AllocationRow*> cancellable;  // newest first
  uint32_t submitted_lately = 0;                  // in the last minute
  double gpu_seconds_today = 0;
  double gpu_seconds_reserved = 0;  // that the alive ones may still use
};

// Slots of all workers that take work.
struct Connected {
  uint64_t slots = 0, idle = 0;
};

uint64_t CeilDiv(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b + (a % b != 0); }

// Whether the dispatcher would give it a job that is worth it.
bool TakesWork(const WorkerCapacity& worker, int64_t now_ms) {
  return worker.connected && !worker.draining && !worker.suspect &&
         (worker.ends_ms == 0 || worker.ends_ms - now_ms > kMinuteMs);
}

using WorkersByKey = std::map<std::string, std::vector<const WorkerCapacity*>>;

WorkersByKey ByKey(const Demand& demand) {
  WorkersByKey workers;
  for (const WorkerCapacity& worker : demand.workers) {
    if (!worker.pool_key.empty()) workers[worker.pool_key].push_back(&worker);
  }
  return workers;
}

Connected CountConnected(const Demand& demand, int64_t now_ms) {
  Connected connected;
  for (const WorkerCapacity& worker : demand.workers) {
    if (!TakesWork(worker, now_ms)) continue;
    connected.slots += worker.slots;
    connected.idle += std::min(worker.idle_slots, worker.slots);
  }
  return connected;
}

double SecondsLeftOf(const AllocationRow& row, int64_t now_ms) {
  const double total = static_cast<double>(row.walltime_s);
  if (row.started_ms == 0 || row.state == AllocationState::kQueued) return total;
  return std::max(0.0, total - static_cast<double>(now_ms - row.started_ms) / 1000);
}

void CountAlive(const AllocationRow& row, const WorkersByKey& workers, int64_t now_ms,
                Holdings* holdings) {
  ++holdings->alive;
  holdings->gpu_seconds_reserved += row.gpus * SecondsLeftOf(row, now_ms);
  const auto found = workers.find(row.key);
  const bool takes_work =
      found != workers.end() &&
      std::any_of(found->second.begin(), found->second.end(),
                  [now_ms](const WorkerCapacity* worker) { return TakesWork(*worker, now_ms); });
  if (takes_work) ++holdings->connected;
  switch (row.state) {
    case AllocationState::kIntended:
    case AllocationState::kQueued:
      // Its worker is connected, so it runs, though the batch system has not yet been asked.
      if (takes_work) {
        ++holdings->running;
        return;
      }
      ++holdings->queued;
      ++holdings->coming;
      if (row.state == AllocationState::kQueued && !row.job_id.empty()) {
        holdings->cancellable.push_back(&row);
      }
      return;
    case AllocationState::kRunning:
      ++holdings->running;
      // A worker that drains or is about to end comes no more, and one that never came is no
      // capacity for ever.
      if (found == workers.end() && now_ms - row.started_ms < kConnectMs) ++holdings->starting;
      return;
    case AllocationState::kUnknown:
      ++holdings->unclear;
      if (found == workers.end()) ++holdings->coming;
      return;
    case AllocationState::kEnded:
      return;
  }
}

Holdings Count(const std::string& pool, const std::vector<AllocationRow>& allocations,
               const WorkersByKey& workers, int64_t now_ms) {
  Holdings holdings;
  for (const AllocationRow& row : allocations) {
    if (row.pool != pool) continue;
    if (row.intended_ms > now_ms - kMinuteMs) ++holdings.submitted_lately;
    holdings.gpu_seconds_today += GpuSecondsToday(row, now_ms);
    if (row.state != AllocationState::kEnded) CountAlive(row, workers, now_ms, &holdings);
  }
  std::sort(
      holdings.cancellable.begin(), holdings.cancellable.end(),
      [](const AllocationRow* a, const AllocationRow* b) { return a->sequence > b->sequence; });
  return holdings;
}

// Slots of an allocation: as set, as its workers have shown, or one for each GPU.
uint64_t SlotsOfAllocation(const PoolSpec& spec, const std::vector<AllocationRow>& allocations,
                           const WorkersByKey& workers) {
  if (spec.slots > 0) return spec.slots;
  uint32_t shown = 0;
  for (const AllocationRow& row : allocations) {
    const auto found = row.pool == spec.name ? workers.find(row.key) : workers.end();
    if (found == workers.end()) continue;
    for (const WorkerCapacity* worker : found->second) shown = std::max(shown, worker->slots);
  }
  return std::max<uint64_t>(1, shown > 0 ? shown : spec.gpus);
}

int64_t ShortestWalltime(const PoolSpec& spec, const Demand& demand) {
  const double checkpoint = std::clamp(demand.checkpoint_seconds, 0.0, 1e9);
  const int64_t least = spec.grace_s + 60 + static_cast<int64_t>(std::ceil(checkpoint));
  return std::max(spec.min_walltime_s, (least + 59) / 60 * 60);
}

// Enough for the work that is left, spread over all slots; the pool's longest if that is not known.
int64_t UsefulWalltime(const PoolSpec& spec, const Demand& demand, int64_t least,
                       uint64_t slots_in_all, uint64_t sequence) {
  const int64_t most =
      spec.max_walltime_s >= 60 ? spec.max_walltime_s / 60 * 60 : spec.max_walltime_s;
  int64_t walltime = most;
  if (demand.seconds_left >= 0 && !spec.has_target) {
    const double share =
        demand.seconds_left / static_cast<double>(std::max<uint64_t>(1, slots_in_all));
    const double useful = std::min(1.2 * share + static_cast<double>(spec.grace_s) + 120, 1e9);
    walltime = std::min(most, (static_cast<int64_t>(useful) + 59) / 60 * 60);
  }
  // Ends are staggered, so that not all workers stop for their last checkpoint at once.
  if (walltime == most && most >= 600) {
    walltime -= most / 50 * static_cast<int64_t>(sequence % 5) / 60 * 60;
  }
  return std::min(most, std::max(least, walltime));
}

class PoolDecider {
 public:
  PoolDecider(const PoolInput& input, Holdings holdings, uint64_t slots, const Demand& demand,
              int64_t now_ms)
      : row_(input.row),
        spec_(input.row.spec),
        excess_since_ms_(input.excess_since_ms),
        site_backlog_(input.site_backlog),
        held_(std::move(holdings)),
        slots_(slots),
        demand_(demand),
        now_ms_(now_ms) {
    decision_.pool = spec_.name;
    decision_.connected = held_.connected;
    decision_.queued = held_.queued;
    decision_.running = held_.running;
    decision_.unclear = held_.unclear;
    decision_.gpu_seconds_today = held_.gpu_seconds_today;
  }

  // `open`: slots that the work needs beyond the connected ones. `slots_in_all`: connected ones.
  void Run(uint64_t open, uint64_t slots_in_all) {
    const uint64_t here = held_.connected;
    uint64_t more = CeilDiv(open, slots_);
    if (spec_.has_target) {
      const bool work = demand_.grantable_jobs > 0 || demand_.seconds_left > 0 || open > 0;
      more = work && spec_.target > here ? spec_.target - here : 0;
    }
    // Allocations without a usable worker hold places too.
    const uint64_t useless = held_.alive - here - held_.starting - held_.coming;
    const uint64_t places =
        spec_.max_workers > here + useless ? spec_.max_workers - here - useless : 0;
    limited_by_max_ = more > places;
    more_ = std::min(more, places);
    decision_.wanted = static_cast<uint32_t>(here + more_);
    const uint64_t there = held_.starting + held_.coming;
    if (row_.mode == PoolMode::kDraining) {
      Cancel(held_.cancellable.size());
    } else if (more_ > there) {
      Submit(more_ - there, slots_in_all);
    } else {
      Cancel(there - more_);
    }
  }

  // Slots beyond the connected ones that later pools need not think of. `certain`: only those of
  // allocations that have started.
  uint64_t Covered(bool certain) const {
    if (certain) return held_.starting * slots_;
    const bool goes_on = row_.mode == PoolMode::kRunning && now_ms_ >= row_.backoff_until_ms &&
                         !out_of_budget_ && !too_short_;
    return (goes_on ? more_ : std::min<uint64_t>(more_, held_.starting + held_.coming)) * slots_;
  }

  PoolDecision Take() { return std::move(decision_); }

 private:
  void Submit(uint64_t missing, uint64_t slots_in_all) {
    const std::string wants = absl::StrCat("wants ", missing, " more");
    const std::string obstacle = Obstacle();
    if (!obstacle.empty()) {
      decision_.text = absl::StrCat(wants, "; ", obstacle);
      return;
    }
    uint64_t count = missing;
    std::string limit;
    const auto keep = [&](uint64_t room, const std::string& name) {
      if (room >= count) return;
      count = room;
      limit = name;
    };
    keep(spec_.backlog > held_.queued ? spec_.backlog - held_.queued : 0,
         absl::StrCat("backlog ", spec_.backlog));
    keep(site_backlog_ > held_.queued ? site_backlog_ - held_.queued : 0,
         absl::StrCat("a limit of the site: ", row_.last_error));
    keep(spec_.submits_a_minute > held_.submitted_lately
             ? spec_.submits_a_minute - held_.submitted_lately
             : 0,
         absl::StrCat(spec_.submits_a_minute, " submits a minute"));
    const uint64_t asked = count;
    AddSubmits(asked, slots_in_all + (held_.starting + held_.coming + missing) * slots_);
    if (decision_.submits.size() < asked) limit = too_short_ ? TooShort() : BudgetText();
    decision_.text = decision_.submits.empty()
                         ? absl::StrCat(wants, "; ", limit)
                         : absl::StrCat(wants, ", asks for ", decision_.submits.size(), " now",
                                        limit.empty() ? "" : absl::StrCat("; ", limit));
  }

  // Why the pool submits nothing at all; empty: it may.
  std::string Obstacle() const {
    switch (row_.mode) {
      case PoolMode::kPaused:
        return "paused: `coppice pool resume` goes on";
      case PoolMode::kDraining:
        return "draining: `coppice pool resume` goes on";
      case PoolMode::kStopped:
        return absl::StrCat("stopped: ", row_.why);
      case PoolMode::kRunning:
        break;
    }
    if (now_ms_ >= row_.backoff_until_ms) return "";
    return absl::StrFormat("waits %d s after %d failures: %s",
                           (row_.backoff_until_ms - now_ms_ + 999) / 1000, row_.failures,
                           row_.last_error);
  }

  void AddSubmits(uint64_t count, uint64_t slots_in_all) {
    const int64_t least = ShortestWalltime(spec_, demand_);
    too_short_ = least > spec_.max_walltime_s;
    if (too_short_) return;
    const double budget = spec_.gpu_hours_a_day * 3600;
    double used = held_.gpu_seconds_today + held_.gpu_seconds_reserved;
    for (uint64_t i = 0; i < count; ++i) {
      int64_t walltime =
          UsefulWalltime(spec_, demand_, least, slots_in_all, row_.next_sequence + i);
      if (spec_.gpu_hours_a_day > 0) {
        const double room = std::max(0.0, (budget - used) / std::max(1u, spec_.gpus));
        walltime = std::min(walltime, static_cast<int64_t>(std::min(room, 1e9)) / 60 * 60);
        out_of_budget_ = walltime < least;
        if (out_of_budget_) return;
      }
      used += static_cast<double>(walltime) * spec_.gpus;
      decision_.submits.push_back(walltime);
    }
  }

  std::string TooShort() const {
    return absl::StrCat("--walltime ", spec_.max_walltime_s, "s is too short: --grace, a minute ",
                        "and the time to a checkpoint need ", ShortestWalltime(spec_, demand_),
                        "s");
  }

  std::string BudgetText() const {
    return absl::StrFormat("budget: %.1f of %.1f GPU hours in 24 h are used or asked for",
                           (held_.gpu_seconds_today + held_.gpu_seconds_reserved) / 3600,
                           spec_.gpu_hours_a_day);
  }

  void Cancel(uint64_t excess) {
    const uint64_t count =
        std::min<uint64_t>(row_.mode == PoolMode::kDraining ? held_.cancellable.size() : excess,
                           held_.cancellable.size());
    if (count == 0) {
      decision_.text = IdleText();
      return;
    }
    decision_.excess_since_ms = excess_since_ms_ == 0 ? now_ms_ : excess_since_ms_;
    const bool no_work = demand_.grantable_jobs == 0;
    const int64_t patience = row_.mode == PoolMode::kDraining ? 0
                             : no_work                        ? kCancelIdleAfterMs
                                                              : kCancelAfterMs;
    const int64_t left = decision_.excess_since_ms + patience - now_ms_;
    const absl::string_view why = row_.mode == PoolMode::kDraining ? "draining"
                                  : no_work                        ? "no work waits"
                                                                   : "less work waits";
    if (left > 0) {
      decision_.text = absl::StrCat("cancels ", count, " queued in ", (left + 999) / 1000,
                                    " s unless work comes: ", why);
      return;
    }
    for (uint64_t i = 0; i < count; ++i) decision_.cancels.push_back(held_.cancellable[i]->key);
    decision_.text = absl::StrCat("cancels ", count, " queued: ", why);
  }

  std::string IdleText() const {
    if (const std::string obstacle = Obstacle(); !obstacle.empty()) return obstacle;
    const uint64_t there = held_.starting + held_.coming;
    if (limited_by_max_) {
      return absl::StrCat("has ", held_.alive, " of --max-workers ", spec_.max_workers);
    }
    if (held_.connected + there == 0) return "asks for nothing: no work waits";
    if (more_ == 0) return absl::StrCat(held_.connected, " connected; no work waits for more");
    return absl::StrCat("has what it wants: ", held_.connected, " connected, ", held_.starting,
                        " starting, ", held_.coming, " queued");
  }

  const PoolRow& row_;
  const PoolSpec& spec_;
  const int64_t excess_since_ms_;
  const uint32_t site_backlog_;
  const Holdings held_;
  const uint64_t slots_;
  const Demand& demand_;
  const int64_t now_ms_;
  uint64_t more_ = 0;  // allocations wanted beyond the connected ones
  bool limited_by_max_ = false, out_of_budget_ = false, too_short_ = false;
  PoolDecision decision_;
};

// Slots that the work fills for as long as one is worth it.
uint64_t SlotsWorthIt(const PoolSpec& spec, const Demand& demand) {
  if (demand.seconds_left < 0) return UINT64_MAX;
  const double useful = std::max(kUsefulSeconds, static_cast<double>(spec.min_walltime_s));
  const double slots = std::ceil(demand.seconds_left / useful);
  // Work that waits needs one slot, however little it is.
  return static_cast<uint64_t>(std::clamp(slots, 1.0, 1e9));
}

bool HasWaited(const PoolSpec& spec, const Demand& demand, int64_t now_ms) {
  return demand.oldest_waiting_ms > 0 &&
         now_ms - demand.oldest_waiting_ms >= spec.wait_before_s * 1000;
}

}  // namespace

double GpuSecondsToday(const AllocationRow& row, int64_t now_ms) {
  const int64_t window = now_ms - kDayMs;
  const bool ended = row.state == AllocationState::kEnded;
  const int64_t end = ended ? row.ended_ms : now_ms;
  if (row.gpus == 0 || end <= window) return 0;
  double seconds = row.gpu_seconds;
  if (!ended && row.state != AllocationState::kQueued && row.started_ms > 0) {
    seconds += row.gpus * static_cast<double>(std::max<int64_t>(0, now_ms - row.started_ms)) / 1000;
  }
  const double most =
      row.gpus * static_cast<double>(end - std::max(window, row.intended_ms)) / 1000;
  return std::clamp(seconds, 0.0, std::max(0.0, most));
}

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
  const Connected connected = CountConnected(demand, now_ms);
  const uint64_t width = std::max(1u, demand.width);
  const uint64_t taken = connected.idle * width;
  const uint64_t waiting = demand.grantable_jobs > taken ? demand.grantable_jobs - taken : 0;
  // What is left for the next pool: of all that is needed, and of what no allocation has started
  // for.
  uint64_t open = CeilDiv(waiting, width);
  uint64_t unstarted = open;
  std::vector<PoolDecision> decisions;
  for (const PoolInput* pool : order) {
    const PoolSpec& spec = pool->row.spec;
    const uint64_t slots = SlotsOfAllocation(spec, allocations, workers);
    PoolDecider decider(*pool, Count(spec.name, allocations, workers, now_ms), slots, demand,
                        now_ms);
    const uint64_t worth = SlotsWorthIt(spec, demand);
    const uint64_t room = worth > connected.slots ? worth - connected.slots : 0;
    uint64_t mine = std::min(spec.wait_before_s > 0 ? unstarted : open, room);
    if (spec.wait_before_s > 0 && !HasWaited(spec, demand, now_ms)) mine = 0;
    decider.Run(mine, connected.slots);
    open -= std::min(open, decider.Covered(false));
    unstarted -= std::min(unstarted, decider.Covered(true));
    decisions.push_back(decider.Take());
  }
  return decisions;
}

}  // namespace coppice::pools
