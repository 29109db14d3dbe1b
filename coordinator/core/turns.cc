#include "coordinator/core/turns.h"

#include <utility>

namespace coppice::core {

bool Turns::Take(const std::string& name, std::function<void()> work) {
  {
    absl::MutexLock lock(&mutex_);
    const auto [turn, first] = turns_.try_emplace(name);
    if (!first) {
      if (turn->second.size() >= kMostWaiting) return false;
      turn->second.push_back(std::move(work));
      return true;
    }
  }
  work();
  return true;
}

void Turns::Next(const std::string& name) {
  std::function<void()> next;
  {
    absl::MutexLock lock(&mutex_);
    const auto turn = turns_.find(name);
    if (turn->second.empty()) {
      turns_.erase(turn);
      return;
    }
    next = std::move(turn->second.front());
    turn->second.pop_front();
  }
  next();
}

}  // namespace coppice::core
