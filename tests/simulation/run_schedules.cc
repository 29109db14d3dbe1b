#include "tests/simulation/run_schedules.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
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

Outcome RunSchedule(uint64_t seed, PlantedBug bug, bool trace, Family family) {
  Simulation simulation({seed, family, bug, trace, absl::StrCat(PlaceForFiles(), "/", seed)});
  return simulation.Run();
}

Summary RunSchedules(uint64_t first, uint64_t count, bool trace, Family family) {
  Summary summary;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const Outcome outcome = RunSchedule(seed, PlantedBug::kNone, trace, family);
    ++summary.schedules;
    summary.jobs += outcome.jobs;
    summary.attempts += outcome.attempts;
    summary.events += outcome.events;
    summary.simulated += outcome.duration;
    summary.faults.Add(outcome.faults);
    summary.most_live = std::max(summary.most_live, outcome.most_live);
    if (outcome.violations.empty()) continue;
    if (++summary.broken > kShown) continue;
    absl::StrAppend(&summary.first_broken, "seed ", seed, ":\n  ",
                    absl::StrJoin(outcome.violations, "\n  "), "\n  see it with: ",
                    family == Family::kFencing
                        ? "simulation_fencing_test --gtest_filter='*Livelock'"
                        : "simulation_test --gtest_filter='*NothingIsLost*'",
                    " --schedules 1 --seed ", seed, " --trace\n");
  }
  return summary;
}

bool ScheduleFlags::Read(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    uint64_t* number = flag == "--schedules" ? &schedules
                       : flag == "--seed"    ? &first_seed
                                             : nullptr;
    if (flag == "--trace") {
      trace = true;
    } else if (number == nullptr || i + 1 == argc || !absl::SimpleAtoi(argv[++i], number)) {
      std::fprintf(stderr, "%s: usage: %s [--schedules N] [--seed S] [--trace]\n", flag.c_str(),
                   argv[0]);
      return false;
    }
  }
  return true;
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

std::optional<uint64_t> FirstSeedThatFinds(PlantedBug bug, uint64_t count, std::string* what,
                                           Family family) {
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const Outcome outcome = RunSchedule(seed, bug, /*trace=*/false, family);
    if (outcome.violations.empty()) continue;
    *what = outcome.violations.front();
    return seed;
  }
  return std::nullopt;
}

}  // namespace coppice::simulation
