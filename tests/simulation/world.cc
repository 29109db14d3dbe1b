#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>

namespace coppice::simulation {

void World::At(absl::Duration delay, std::function<void()> event) {
  queue_.emplace(std::make_pair(now_ + std::max(delay, absl::ZeroDuration()), ++last_event_),
                 std::move(event));
}

void World::For(const LifeRef& life, absl::Duration delay, std::function<void()> event) {
  At(delay, [life, event = std::move(event)] {
    if (!life.expired()) event();
  });
}

std::shared_ptr<testing::FakeClock> World::NewClock() {
  auto clock = std::make_shared<testing::FakeClock>();
  clock->Advance(now_);
  clocks_.push_back(clock);
  return clock;
}

void World::Advance(absl::Duration by) {
  now_ += by;
  for (size_t i = 0; i < clocks_.size();) {
    const auto clock = clocks_[i].lock();
    if (clock == nullptr) {
      clocks_.erase(clocks_.begin() + static_cast<ptrdiff_t>(i));
      continue;
    }
    clock->Advance(by);
    ++i;
  }
}

void World::Step() {
  absl::Duration wait =
      queue_.empty() ? absl::InfiniteDuration() : queue_.begin()->first.first - now_;
  for (const auto& weak : clocks_) {
    const auto clock = weak.lock();
    if (clock != nullptr) wait = std::min(wait, clock->UntilNextTimer());
  }
  if (wait == absl::InfiniteDuration()) return;
  ++events_;
  Advance(std::max(wait, absl::ZeroDuration()));
  if (queue_.empty() || queue_.begin()->first.first > now_) return;
  const std::function<void()> event = std::move(queue_.begin()->second);
  queue_.erase(queue_.begin());
  event();
}

void World::RunFor(absl::Duration time) {
  bool over = false;
  At(time, [&over] { over = true; });
  while (!over) Step();
}

void World::Record(const std::string& line) {
  for (const char c : line) digest_ = (digest_ ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  digest_ = Mix(digest_ ^ static_cast<uint64_t>(absl::ToInt64Microseconds(now_)));
  if (trace_) std::printf("%10.3f  %s\n", absl::ToDoubleSeconds(now_), line.c_str());
}

void World::Violation(const std::string& what) {
  Trace("VIOLATION ", what);
  violations_.push_back(what);
}

}  // namespace coppice::simulation
