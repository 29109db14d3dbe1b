// One run of a user's program, watched as a worker watches it.
#ifndef COPPICE_CLI_PROGRAM_TRIAL_H_
#define COPPICE_CLI_PROGRAM_TRIAL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/program/process_launcher.h"
#include "worker/program/program.h"

namespace coppice::cli {

// The moment at which the trial asks the program to end, by SIGTERM.
enum class StopAt { kNever, kFirstReport };

struct TrialPlan {
  struct Member {
    uint32_t seed = 0;
    std::string resume;  // a checkpoint of another trial; empty: from step 0
    uint32_t resume_step = 0;
  };
  std::vector<Member> members;
  uint32_t steps = 0;
  std::string folder;  // of this trial alone
  StopAt stop_at = StopAt::kNever;
  absl::Duration grace;    // from SIGTERM to SIGKILL
  absl::Duration silence;  // it is killed after so long without an event
};

// The outcome of one seed.
struct MemberRecord {
  std::map<uint32_t, std::map<std::string, double>> rows;  // by step
  std::map<uint32_t, std::string> checkpoints;             // paths of the durable files, by step
  std::optional<uint32_t> preempted;                       // the step that its event names
  bool done = false;
  std::string failed;  // "kind: message"; empty: it has not failed
};

struct TrialRecord {
  bool started = false;          // the start event came
  std::string refused;           // the reason
  std::string fault;             // in its output, or in a checkpoint that it named
  std::string faulty_event;      // the event of that; empty: the line is no event
  bool silent = false;           // it was killed for its silence
  bool asked = false;            // SIGTERM was sent
  bool killed = false;           // it did not end within the grace period
  absl::Duration after_request;  // from SIGTERM to its end
  worker::ProcessExit exit;
  std::string last_words;                    // the end of its stderr
  std::map<uint32_t, MemberRecord> members;  // by seed
};

// Runs the program to its end. The codes are those of the scratch folder's disk; whatever the
// program does is in the record.
absl::StatusOr<TrialRecord> RunTrial(worker::ProcessLauncher* launcher,
                                     const worker::Program& program, const TrialPlan& plan);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_PROGRAM_TRIAL_H_
