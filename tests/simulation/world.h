#ifndef COPPICE_TESTS_SIMULATION_WORLD_H_
#define COPPICE_TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/random.h"
#include "tests/testing/fake_clock.h"

namespace coppice::simulation {

// The life of a process, which lasts as long as a reference is held. Events scheduled for a dead
// process do not happen.
using Life = std::shared_ptr<char>;
using LifeRef = std::weak_ptr<char>;
inline Life NewLife() { return std::make_shared<char>(); }

// Purpose: one thread, one order of events, one source of chance. Every process has its own clock,
// which the world advances. The clock of a process whose time jumps is advanced separately. Every
// event goes into a digest, so that two runs can be compared. Owner: a Simulation.
class World {
 public:
  World(uint64_t seed, bool trace) : random_(Mix(seed)), trace_(trace) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Random& random() { return random_; }
  absl::Duration now() const { return now_; }

  void At(absl::Duration delay, std::function<void()> event);
  // Schedules an event that happens only if the process still lives then.
  void For(const LifeRef& life, absl::Duration delay, std::function<void()> event);

  // Returns a clock that shows the world's time and advances with it until it is dropped.
  std::shared_ptr<testing::FakeClock> NewClock();

  // Runs the next event or timer. No two happen at the same time.
  void Step();
  void RunFor(absl::Duration time);

  void Did(Fault fault) { ++faults_.times[static_cast<size_t>(fault)]; }
  const FaultCounts& faults() const { return faults_; }

  // Records an event, for the digest and for an optional trace.
  template <typename... Parts>
  void Trace(const Parts&... parts) {
    Record(absl::StrCat(parts...));
  }
  uint64_t digest() const { return digest_; }
  uint64_t events() const { return events_; }

  // Reports that an invariant is violated.
  void Violation(const std::string& what);
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void Record(const std::string& line);
  void Advance(absl::Duration by);

  Random random_;
  const bool trace_;
  absl::Duration now_ = absl::ZeroDuration();
  uint64_t last_event_ = 0;
  std::map<std::pair<absl::Duration, uint64_t>, std::function<void()>> queue_;
  std::vector<std::weak_ptr<testing::FakeClock>> clocks_;
  FaultCounts faults_;
  uint64_t digest_ = 0xcbf29ce484222325;
  uint64_t events_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_WORLD_H_
