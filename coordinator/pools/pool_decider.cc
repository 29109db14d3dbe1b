#include "coordinator/pools/pool_decider.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace coppice::pools {
namespace {

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

}  // namespace

PoolDecider::PoolDecider(const PoolInput& input, Holdings holdings, uint64_t slots,
                         const Demand& demand, int64_t now_ms)
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

void PoolDecider::LimitSweeps(double seconds, std::string spent) {
  sweep_seconds_left_ = seconds;
  spent_ = std::move(spent);
}

void PoolDecider::Run(uint64_t open, uint64_t slots_in_all, std::string no_more) {
  no_more_ = std::move(no_more);
  const uint64_t here = held_.connected;
  uint64_t more = CeilDiv(open, slots_);
  if (spec_.has_target) {
    const bool work = demand_.grantable_jobs > 0 || demand_.seconds_left > 0 || open > 0;
    more = work && spec_.target > here ? spec_.target - here : 0;
    if (work && more == 0) no_more_ = "that is the fixed number of workers";
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
  if (!spec_.watch_only) return;
  decision_.text = absl::StrCat("only watches: ", decision_.text);
  decision_.submits.clear();
  decision_.cancels.clear();
}

uint64_t PoolDecider::Covered(bool certain) const {
  if (certain) return held_.starting * slots_;
  const bool goes_on = row_.mode == PoolMode::kRunning && !spec_.watch_only &&
                       now_ms_ >= row_.backoff_until_ms && !out_of_budget_ && !too_short_;
  return (goes_on ? more_ : std::min<uint64_t>(more_, held_.starting + held_.coming)) * slots_;
}

void PoolDecider::Submit(uint64_t missing, uint64_t slots_in_all) {
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

std::string PoolDecider::Obstacle() const {
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

void PoolDecider::AddSubmits(uint64_t count, uint64_t slots_in_all) {
  const int64_t least = ShortestWalltime(spec_, demand_);
  too_short_ = least > spec_.max_walltime_s;
  if (too_short_) return;
  // Allocations that live may use all of their time.
  double sweeps_left = sweep_seconds_left_ - held_.gpu_seconds_reserved;
  double day_left =
      spec_.gpu_hours_a_day > 0
          ? spec_.gpu_hours_a_day * 3600 - held_.gpu_seconds_today - held_.gpu_seconds_reserved
          : std::numeric_limits<double>::infinity();
  for (uint64_t i = 0; i < count; ++i) {
    const double left = std::min(day_left, sweeps_left);
    const double room = std::clamp(left / std::max(1u, spec_.gpus), 0.0, 1e9);
    const int64_t most = static_cast<int64_t>(room) / 60 * 60;
    out_of_budget_ = most < least;
    out_of_sweep_budget_ = out_of_budget_ && sweeps_left < day_left;
    if (out_of_budget_) return;
    const int64_t walltime =
        std::min(most, UsefulWalltime(spec_, demand_, least, slots_in_all, row_.next_sequence + i));
    day_left -= static_cast<double>(walltime) * spec_.gpus;
    sweeps_left -= static_cast<double>(walltime) * spec_.gpus;
    decision_.submits.push_back(walltime);
  }
}

std::string PoolDecider::TooShort() const {
  return absl::StrCat("--walltime ", spec_.max_walltime_s, "s is too short: --grace, a minute ",
                      "and the time to a checkpoint need ", ShortestWalltime(spec_, demand_), "s");
}

std::string PoolDecider::BudgetText() const {
  if (out_of_sweep_budget_) {
    return absl::StrFormat(
        "budget: its sweeps may get %.1f more GPU hours here, and its allocations may use %.1f; "
        "--gpu-hours-a-sweep is %g (`coppice pool add --replace` changes it)",
        sweep_seconds_left_ / 3600, held_.gpu_seconds_reserved / 3600, spec_.gpu_hours_a_sweep);
  }
  return absl::StrFormat("budget: %.1f of %.1f GPU hours in 24 h are used or asked for",
                         (held_.gpu_seconds_today + held_.gpu_seconds_reserved) / 3600,
                         spec_.gpu_hours_a_day);
}

void PoolDecider::Cancel(uint64_t excess) {
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
                                : !spent_.empty()                ? absl::string_view(spent_)
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

std::string PoolDecider::IdleText() const {
  if (const std::string obstacle = Obstacle(); !obstacle.empty()) return obstacle;
  const uint64_t there = held_.starting + held_.coming;
  if (limited_by_max_) {
    return absl::StrCat("has ", held_.alive, " of --max-workers ", spec_.max_workers);
  }
  if (held_.connected + there == 0) return absl::StrCat("asks for nothing: ", no_more_);
  if (more_ == 0) return absl::StrCat(held_.connected, " connected; ", no_more_);
  return absl::StrCat("has what it wants: ", held_.connected, " connected, ", held_.starting,
                      " starting, ", held_.coming, " queued");
}

}  // namespace coppice::pools
