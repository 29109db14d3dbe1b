// Runs many schedules and summarizes their outcomes.
#ifndef COPPICE_TESTS_SIMULATION_RUN_SCHEDULES_H_
#define COPPICE_TESTS_SIMULATION_RUN_SCHEDULES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tests/simulation/simulation.h"

namespace coppice::simulation {

// Runs one schedule, with its files on a memory disk if there is one.
Outcome RunSchedule(uint64_t seed, PlantedBug bug = PlantedBug::kNone, bool trace = false,
                    Family family = Family::kEverything);

// The flags of the tests: which schedules to run.
struct ScheduleFlags {
  uint64_t schedules = 100;
  uint64_t first_seed = 1;
  bool trace = false;  // print the events of each

  // Reads [--schedules N] [--seed S] [--trace]. False: there is another word, which stderr names.
  bool Read(int argc, char** argv);
};

struct Summary {
  uint64_t schedules = 0;
  uint64_t broken = 0;
  std::string first_broken;  // the first few: seed, violation, command to repeat it
  uint64_t jobs = 0;
  uint64_t attempts = 0;
  uint64_t events = 0;
  absl::Duration simulated;
  FaultCounts faults;
  size_t most_live = 0;  // processes of one name at once

  // Returns the faults and their counts, for docs/reliability.md.
  std::string Table() const;
};

// Runs `count` schedules, with the seeds from `first` on.
Summary RunSchedules(uint64_t first, uint64_t count, bool trace,
                     Family family = Family::kEverything);

// Returns the first of `count` seeds, from 1 on, whose schedule exposes the bug; nothing if none
// does.
std::optional<uint64_t> FirstSeedThatFinds(PlantedBug bug, uint64_t count, std::string* what,
                                           Family family = Family::kEverything);

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_RUN_SCHEDULES_H_
