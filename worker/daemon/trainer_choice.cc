#include "worker/daemon/trainer_choice.h"

#include <unistd.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"

namespace coppice::worker {
namespace {

constexpr char kRemedy[] =
    "scripts/build_gpu_trainer.sh builds a trainer with CUDA for this machine (docs/gpu.md); "
    "--device cpu does without one";

bool IsProgram(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

bool WantsGpu(const TrainerRequest& request) {
  if (request.device.kind == DeviceKind::kAuto) return request.gpu;
  return request.device.kind == DeviceKind::kCuda;
}

// The programs that may be taken, the best one first.
absl::StatusOr<std::vector<std::string>> Candidates(const TrainerRequest& request) {
  if (!request.given.empty()) {
    if (IsProgram(request.given)) return std::vector<std::string>{request.given};
    return absl::InvalidArgumentError(
        absl::StrCat("no trainer at ", request.given,
                     "; build coppice-trainer, or name it with --trainer PATH"));
  }
  const std::string plain = JoinPath(request.folder, kTrainerName);
  std::vector<std::string> paths = {plain, JoinPath(request.folder, kCudaTrainerName)};
  if (WantsGpu(request)) std::swap(paths[0], paths[1]);
  std::erase_if(paths, [](const std::string& path) { return !IsProgram(path); });
  if (!paths.empty()) return paths;
  return absl::InvalidArgumentError(absl::StrCat(
      "no trainer at ", plain, "; build coppice-trainer, or name it with --trainer PATH"));
}

TrainerChoice Unasked(const TrainerRequest& request, const std::string& path, bool gpu) {
  return {path, DeviceSpecText(request.device), gpu, ""};
}

// No trainer can use a GPU: `reason` is that of the first one.
absl::StatusOr<TrainerChoice> WithoutGpu(const TrainerRequest& request, const std::string& path,
                                         const std::string& reason) {
  if (request.device.kind == DeviceKind::kCuda) {
    return absl::FailedPreconditionError(absl::StrCat("--device ", DeviceSpecText(request.device),
                                                      ": ", reason, " (", kRemedy, ")"));
  }
  spdlog::warn("this machine has a GPU, but jobs run on the CPU: {} ({})", reason, kRemedy);
  return TrainerChoice{path, "cpu", false, ""};
}

}  // namespace

absl::StatusOr<TrainerChoice> ChooseTrainer(const TrainerRequest& request, const AskDevices& ask) {
  const auto candidates = Candidates(request);
  if (!candidates.ok()) return candidates.status();
  if (!WantsGpu(request)) {
    if (request.device.kind == DeviceKind::kAuto) {
      spdlog::info("jobs run on the CPU: this machine has no GPU");
    }
    return Unasked(request, candidates->front(), /*gpu=*/false);
  }
  std::string answered;  // the last trainer that answered: where a GPU is wanted, the plain one
  std::string reason;    // that of the first trainer
  bool silent = false;
  for (const std::string& path : *candidates) {
    const absl::StatusOr<TrainerDevices> devices = ask(path);
    absl::Status usable = devices.status();
    if (absl::IsCancelled(usable)) return usable;
    if (devices.ok()) {
      LogTrainerDevices(path, *devices);
      usable = CheckTrainerDevices(*devices, request.device);
      if (usable.ok()) {
        return TrainerChoice{path, UsableDevicesText(*devices, request.device), true,
                             UsableDeviceNames(*devices, request.device)};
      }
      answered = path;
    } else if (absl::IsUnimplemented(usable) || absl::IsDataLoss(usable)) {
      spdlog::warn("{}; it is used as it is", std::string(usable.message()));
      return Unasked(request, path, /*gpu=*/true);
    } else {
      spdlog::warn("{}", std::string(usable.message()));
      silent |= absl::IsDeadlineExceeded(usable);
    }
    if (reason.empty()) reason = absl::StrCat(path, ": ", usable.message());
  }
  if (!answered.empty()) return WithoutGpu(request, answered, reason);
  if (!silent) return absl::FailedPreconditionError(reason);
  return Unasked(request, candidates->front(), /*gpu=*/true);  // on a slow disk it may still work
}

std::string FolderOfThisProgram() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

}  // namespace coppice::worker
