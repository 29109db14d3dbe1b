// How a granted run becomes a process: Coppice's own trainer, or a program of the user's own.
#ifndef COPPICE_WORKER_DAEMON_RUN_START_H_
#define COPPICE_WORKER_DAEMON_RUN_START_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "worker/daemon/checkpoint_place.h"
#include "worker/daemon/granted_run.h"
#include "worker/program/process_launcher.h"
#include "worker/program/program.h"

namespace coppice::worker {

// Settings of a trainer, the same for every pack.
struct PackConfig {
  std::string trainer;   // path of the program
  uint32_t threads = 1;  // of each trainer
  std::string device = "auto";
  bool has_gpu = false;  // slots have a GPU, for programs of the users' own
  CheckpointPlace checkpoints;
  std::string runs_dir;  // run specs; absolute
  std::string logs_dir;
  // A trainer that is asked to end is killed after this time.
  absl::Duration grace = absl::Seconds(25);
  // The same time if nothing is left to save.
  absl::Duration stop_grace = absl::Seconds(5);
};

// Purpose: knows what differs between the trainer and a program before the process runs: the
// folders of checkpoints, the spec file, the command.
// Owner: a PackRun; copies go to the background. Threads: immutable.
class RunStart {
 public:
  struct Member {
    uint32_t seed = 0;
    std::string attempt_dir;  // absolute
    std::string resume;       // the checked file; empty: from step 0
    uint32_t resume_step = 0;
  };

  // `name` names the files of the run; `gpu` as in PackRun::Packing.
  RunStart(const PackConfig& config, GrantedRun run, std::string name, std::string gpu);

  // The folder that the process is told to save a member's checkpoints in.
  std::string CheckpointDir(const std::string& attempt_dir) const;
  // Makes the folders, unpacks archives to resume from, and writes the spec file. Blocks on the
  // disk. DATA_LOSS: an archive is damaged. Otherwise the codes of files.h.
  absl::Status Prepare(const std::vector<Member>& members) const;
  ProcessCommand Command() const;

 private:
  absl::Status PrepareTrainer(const std::vector<Member>& members) const;
  absl::Status PrepareProgram(const std::vector<Member>& members) const;
  ProgramSlot Slot() const { return {threads_, has_gpu_, gpu_}; }

  const GrantedRun run_;
  const std::string trainer_;
  const uint32_t threads_;
  const std::string device_;
  const bool has_gpu_;
  const std::string gpu_;
  const std::string spec_path_;
  const std::string log_path_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_RUN_START_H_
