// Whether a user's program keeps the contract of docs/programs.md.
#ifndef COPPICE_CLI_PROGRAM_CONFORMANCE_H_
#define COPPICE_CLI_PROGRAM_CONFORMANCE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json_fwd.hpp"
#include "worker/program/process_launcher.h"

namespace coppice::cli {

struct ConformancePlan {
  uint32_t steps = 0;  // 0: as many as make two checkpoints
  std::vector<uint32_t> seeds;
  double tolerance = 0;    // largest relative difference of a resumed run's values
  absl::Duration grace;    // from SIGTERM to the end
  absl::Duration silence;  // the longest time without an event
  std::string folder;      // an empty one, for the trials' files
};

enum class RuleOutcome { kKept, kBroken, kUnknown };

struct Finding {
  std::string rule;  // "start", "output", "reports", "checkpoints", "end", "children", "stop",
                     // "resume", "values"
  RuleOutcome verdict = RuleOutcome::kKept;
  std::string text;  // what was seen; for a broken rule with the remedy
};

struct ConformanceResult {
  std::vector<Finding> findings;  // one for each rule, in this order
  uint32_t steps = 0;             // of a whole run
  uint32_t report_every = 0;
  uint32_t checkpoint_every = 0;
  std::string last_words;  // the end of the stderr of the trial that broke a rule

  bool kept() const;
};

// Runs the program of `run` (the object that a worker is granted) undisturbed, then stopped by
// SIGTERM, then resumed, and compares. INVALID_ARGUMENT: the run has no program, or `steps` are too
// few. Otherwise the codes of the folder's disk.
absl::StatusOr<ConformanceResult> CheckConformance(worker::ProcessLauncher* launcher,
                                                   nlohmann::ordered_json run,
                                                   const ConformancePlan& plan);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_PROGRAM_CONFORMANCE_H_
