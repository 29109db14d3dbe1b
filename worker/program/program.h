// A training program of the user's own: how it is started, and the file that tells it what to run
// (docs/programs.md).
#ifndef COPPICE_WORKER_PROGRAM_PROGRAM_H_
#define COPPICE_WORKER_PROGRAM_PROGRAM_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json_fwd.hpp"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// The variable that names a program's spec file. Each attempt has a file of its own, so the
// variable's value also identifies the processes of an attempt.
inline constexpr char kRunSpecVariable[] = "COPPICE_RUN_SPEC";
// A program that does not report or get on for so long has stalled, unless the sweep says
// otherwise.
inline constexpr absl::Duration kProgramStall = absl::Minutes(30);

// The part of a granted run that speaks of the program.
struct Program {
  std::vector<std::string> command;
  std::string directory;  // absolute
  std::vector<std::pair<std::string, std::string>> environment;
  uint32_t pack = 1;  // seeds that one process takes at most
  absl::Duration time_limit = absl::InfiniteDuration();
  bool gpu = true;       // it is shown the GPU of its slot, if there is one
  uint32_t threads = 0;  // 0: those of its slot
  uint32_t report_every = 1;
  std::string run;  // the `run` object of its spec file, as JSON
};

// Reads the program of a run, whose `program` is an object. INVALID_ARGUMENT names the fault.
absl::StatusOr<Program> ReadProgram(const nlohmann::ordered_json& run);

// The place where one process of a program runs.
struct ProgramSlot {
  uint32_t threads = 1;
  bool has_gpu = false;
  std::string gpu;  // its CUDA_VISIBLE_DEVICES; empty: this process's
};

struct ProgramMember {
  uint32_t seed = 0;
  std::string checkpoint_dir;
  std::string resume;  // a file or a folder; empty: from step 0
  uint32_t resume_step = 0;
};

// The text of the spec file.
std::string ProgramSpec(const Program& program, const std::vector<ProgramMember>& members,
                        const ProgramSlot& slot);

// The process that reads the spec file `spec`. Of this process's environment it gets PATH, HOME,
// LANG and, for a GPU without a number, CUDA_VISIBLE_DEVICES.
ProcessCommand ProgramCommand(const Program& program, const ProgramSlot& slot,
                              const std::string& spec, const std::string& log_path);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_PROGRAM_H_
