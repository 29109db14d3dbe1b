#include "tests/simulation/network.h"

#include <algorithm>

namespace coppice::simulation {

void Network::SetServer(SimService* service) {
  server_ = service;
  std::vector<std::weak_ptr<InFlight>> gone;
  gone.swap(in_flight_);
  for (const auto& weak : gone) {
    const auto what = weak.lock();
    if (what == nullptr) continue;
    what->OnServerGone();
    in_flight_.push_back(weak);
  }
}

void Network::Watch(const std::shared_ptr<InFlight>& what) {
  if (in_flight_.size() > 200) {
    in_flight_.erase(std::remove_if(in_flight_.begin(), in_flight_.end(),
                                    [](const auto& weak) { return weak.expired(); }),
                     in_flight_.end());
  }
  in_flight_.push_back(what);
}

bool Network::IsCut(const std::string& machine) const {
  const auto it = cut_until_.find(machine);
  return it != cut_until_.end() && it->second > world_.now();
}

bool Network::Loses(const std::string& machine) {
  return IsCut(machine) || world_.random().Chance(rates_.lost);
}

absl::Duration Network::Delay() {
  if (world_.random().Chance(rates_.delayed)) {
    world_.Did(Fault::kDelayed);
    return world_.random().Time(absl::Milliseconds(50), absl::Seconds(12));
  }
  return world_.random().Time(absl::Milliseconds(1), absl::Milliseconds(40));
}

absl::Duration Network::Later(absl::Duration longest) {
  if (longest == absl::ZeroDuration() || !world_.random().Chance(rates_.delayed)) {
    return absl::ZeroDuration();
  }
  return world_.random().Time(absl::ZeroDuration(), longest);
}

void Network::Heal() {
  rates_ = Rates();
  cut_until_.clear();
}

}  // namespace coppice::simulation
