// The devices that a trainer says it can use.
#ifndef COPPICE_WORKER_DAEMON_TRAINER_DEVICES_H_
#define COPPICE_WORKER_DAEMON_TRAINER_DEVICES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/device_spec.h"
#include "worker/daemon/end_request.h"
#include "worker/program/process_launcher.h"

namespace coppice::worker {

struct TrainerDevice {
  std::string name;
  std::string compute_capability;  // "9.0"
  uint64_t memory_bytes = 0;
  std::string problem;  // why the trainer cannot use it, with the remedy; empty: it can
};

// The answer of `coppice-trainer devices` (docs/trainer-protocol.md). All texts are printable and
// of a bounded length.
struct TrainerDevices {
  std::string version;  // of the trainer
  bool cuda = false;    // the trainer was built with CUDA
  std::vector<TrainerDevice> devices;
  std::string problem;  // why there is none, with the remedy; empty if there are some
};

// Reads the answer. DATA_LOSS: it is not one.
absl::StatusOr<TrainerDevices> ParseTrainerDevices(absl::string_view line);

// Runs `trainer devices` and waits for its end, at most for `limit`, and no longer than until the
// request to end. UNIMPLEMENTED: the program knows no such command (another trainer, or an older
// one). CANCELLED: this process was asked to end; the trainer was killed. Other codes: it does not
// start, fails, takes too long, or answers nonsense; the message quotes its last words.
absl::StatusOr<TrainerDevices> AskTrainer(ProcessLauncher* launcher, const std::string& trainer,
                                          absl::Duration limit, const EndRequest& end = {});

// OK if the trainer can use the device that the user asked for: for kCuda without an index, and for
// kAuto, any CUDA device. FAILED_PRECONDITION names the reason and the remedy.
absl::Status CheckTrainerDevices(const TrainerDevices& devices, const DeviceSpec& spec);

// The usable devices for people: "2 x NVIDIA H200", or names in a list. Empty if there are none.
std::string UsableDevicesText(const TrainerDevices& devices, const DeviceSpec& spec);

// Their names alone, each once: "NVIDIA H200". Empty if there are none.
std::string UsableDeviceNames(const TrainerDevices& devices, const DeviceSpec& spec);

// Logs a line for each device, or the reason why there is none.
void LogTrainerDevices(const std::string& trainer, const TrainerDevices& devices);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_TRAINER_DEVICES_H_
