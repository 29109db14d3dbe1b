#include "tests/simulation/run_schedules.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace coppice::simulation {
namespace {

constexpr uint64_t kShown = 5;

std::string PlaceForFiles() {
  static const std::string* const place = [] {
    const char* chosen = std::getenv("TMPDIR");
    const bool memory = ::access("/dev/shm", W_OK) == 0;
    std::string pattern = absl::StrCat(memory              ? "/dev/shm"
                                       : chosen != nullptr ? chosen
                                                           : "/tmp",
                                       "/coppice-sim-XXXXXX");
    if (::mkdtemp(pattern.data()) == nullptr) {
      std::perror(pattern.c_str());
      std::abort();
    }
    return new std::string(pattern);
  }();
  static const int registered = std::atexit([] { ::rmdir(place->c_str()); });
  (void)registered;
  return *place;
}

}  // namespace

Outcome RunSchedule(uint64_t seed, PlantedBug bug, bool trace) {
  Simulation simulation({seed, bug, trace, absl::StrCat(PlaceForFiles(), "/", seed)});
  return simulation.Run();
}

Summary RunSchedules(uint64_t first, uint64_t count, bool trace) {
  Summary summary;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const Outcome outcome = RunSchedule(seed, PlantedBug::kNone, trace);
    ++summary.schedules;
    summary.jobs += outcome.jobs;
    summary.attempts += outcome.attempts;
    summary.events += outcome.events;
    summary.simulated += outcome.duration;
    summary.faults.Add(outcome.faults);
    if (outcome.violations.empty()) continue;
    if (++summary.broken > kShown) continue;
    absl::StrAppend(
        &summary.first_broken, "seed ", seed, ":\n  ", absl::StrJoin(outcome.violations, "\n  "),
        "\n  see it with: simulation_test --gtest_filter='*NothingIsLost*' --schedules 1 --seed ",
        seed, " --trace\n");
  }
  return summary;
}

std::string Summary::Table() const {
  std::string table =
      absl::StrFormat("%d schedules, %d jobs, %d attempts, %d events, %.0f simulated hours\n",
                      schedules, jobs, attempts, events, absl::ToDoubleHours(simulated));
  absl::StrAppendFormat(&table, "| %-55s | %9s | %9s |\n", "fault", "times", "schedules");
  absl::StrAppendFormat(&table, "|%s|%s|%s|\n", std::string(57, '-'), std::string(11, '-'),
                        std::string(11, '-'));
  for (size_t i = 0; i < FaultCounts::kKinds; ++i) {
    absl::StrAppendFormat(&table, "| %-55s | %9d | %9d |\n", NameOf(static_cast<Fault>(i)),
                          faults.times[i], faults.schedules[i]);
  }
  return table;
}

std::optional<uint64_t> FirstSeedThatFinds(PlantedBug bug, uint64_t count, std::string* what) {
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const Outcome outcome = RunSchedule(seed, bug);
    if (outcome.violations.empty()) continue;
    *what = outcome.violations.front();
    return seed;
  }
  return std::nullopt;
}

}  // namespace coppice::simulation
