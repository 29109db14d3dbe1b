#ifndef COPPICE_WORKER_DAEMON_PREPARE_WORKER_H_
#define COPPICE_WORKER_DAEMON_PREPARE_WORKER_H_

#include "absl/status/statusor.h"
#include "worker/daemon/agent_config.h"
#include "worker/daemon/allocation.h"
#include "worker/daemon/end_request.h"
#include "worker/daemon/state_folder.h"
#include "worker/daemon/trainer_choice.h"
#include "worker/daemon/worker_options.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

// Derives slots, devices and threads from the GPUs and cores that this process may use, and chooses
// the trainer; both are in `config` afterwards. Codes as of PrepareWorker.
absl::StatusOr<TrainerChoice> PlanTrainer(const WorkerOptions& options,
                                          const EnvironmentLookup& env, ProcessLauncher* launcher,
                                          const EndRequest& end, AgentConfig* config);

// Checks that --checkpoint-dir names a coordinator's folder, and sets it in `config`.
// FAILED_PRECONDITION and PERMISSION_DENIED name the remedy.
absl::Status UseSharedFolder(const std::string& folder, AgentConfig* config);

// Everything that a worker needs from its machine before it starts.
struct PreparedWorker {
  StateFolder state;  // locked
  AgentConfig config;
};
// Creates or takes up the state folder and locks it, finds the trainer, checks the checkpoint
// folder, and derives slots and threads from the GPUs and cores that this process may use; the log
// says so. It may take minutes, but ends at once when this process is asked to end: CANCELLED.
// INVALID_ARGUMENT, FAILED_PRECONDITION and UNAVAILABLE (another worker uses the folder) name the
// remedy. Otherwise the codes of common/base/files.h.
absl::StatusOr<PreparedWorker> PrepareWorker(const WorkerOptions& options,
                                             const EnvironmentLookup& env,
                                             ProcessLauncher* launcher, const EndRequest& end);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_PREPARE_WORKER_H_
