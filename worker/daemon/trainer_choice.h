// The trainer program that a worker starts, and what it computes on.
#ifndef COPPICE_WORKER_DAEMON_TRAINER_CHOICE_H_
#define COPPICE_WORKER_DAEMON_TRAINER_CHOICE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/device_spec.h"
#include "worker/daemon/trainer_devices.h"

namespace coppice::worker {

inline constexpr char kTrainerName[] = "coppice-trainer";
// The trainer with CUDA, as scripts/build_gpu_trainer.sh names it.
inline constexpr char kCudaTrainerName[] = "coppice-trainer-cuda";

struct TrainerRequest {
  std::string given;   // --trainer, absolute; empty: one beside the worker's program
  std::string folder;  // of the worker's program
  DeviceSpec device;   // --device
  bool gpu = false;    // this machine has a GPU (machine.h)
};

struct TrainerChoice {
  std::string path;
  // The device of the jobs, for people: "NVIDIA H200", or the text of the request's device where
  // the trainer did not say.
  std::string device;
  bool gpu = false;  // jobs run on a GPU, as far as is known
  // The names of the GPUs that the trainer can use, each once; empty where it did not say.
  std::string gpu_names;
};

// A trainer's answer about its devices; AskTrainer with a time limit, or a fake.
using AskDevices = std::function<absl::StatusOr<TrainerDevices>(const std::string& trainer)>;

// Chooses the trainer, logs each of its devices, and says what jobs run on.
//   1. The given trainer is taken. Otherwise those beside the worker are looked at: where a GPU is
//      wanted (--device cuda, or auto on a machine that has one), first the one with CUDA.
//   2. Where no GPU is wanted, nothing is asked.
//   3. The first trainer that can use the device is taken. A trainer that does not know the
//      question is taken as well, with a warning.
//   4. If none can: with `auto` jobs run on the CPU, with a warning. With `cuda` the choice fails.
// INVALID_ARGUMENT: there is no program. FAILED_PRECONDITION: no trainer starts, or --device cuda
// was given and no trainer can use it. Messages name the remedy. CANCELLED: `ask` was cancelled;
// no other trainer is asked.
absl::StatusOr<TrainerChoice> ChooseTrainer(const TrainerRequest& request, const AskDevices& ask);

// The folder of this process's program.
std::string FolderOfThisProgram();

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_TRAINER_CHOICE_H_
