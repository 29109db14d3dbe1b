// The process around the training: signals, compute threads, the device and what a run's provenance
// says about them.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
#define COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_

#include <atomic>
#include <exception>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/trainer/cuda/accelerator.h"

namespace coppice::trainer {

// True once a signal asked for the end, or the reader of the events is gone: everybody stops at the
// next step boundary.
std::atomic<bool>& StopFlag();
// SIGTERM, SIGINT, SIGHUP (unless it is ignored, as under nohup), SIGUSR1 and SIGUSR2 set the flag,
// however many come: a cluster signals every process of a job, and the daemon, which gets the same
// signal, asks once more. Only a second SIGINT, a person's Ctrl-C, ends the process at once with
// 130, unless it comes right after the first (StopRequests). Who has no time left sends SIGKILL.
void InstallSignalHandlers();

// To be called first in every thread that computes: one intra-op thread (so that no sum is split by
// thread count), denormals flushed to zero.
void PrepareComputeThread();

// Where a pack is trained.
struct SelectedDevice {
  std::string name;                          // "cpu", or the accelerator's description
  std::shared_ptr<Accelerator> accelerator;  // null: the CPU, a member at a time
};

// What `device` stands for here: "cpu", "cuda" (the first that is visible) or "cuda:N", or "auto":
// a CUDA device where there is one, else the CPU. `precision` is that of a run (config.h). Fails,
// naming the remedy, when a CUDA device is asked for that cannot be had (see MakeCudaAccelerator).
absl::StatusOr<SelectedDevice> SelectDevice(absl::string_view device, absl::string_view precision);

// The library that matrix products really go to, e.g. "oneDNN 2.6.3" or "openblas (libblas.so.3)".
// `reference` is true for the unoptimized BLAS, under which training is 25 to 45 times slower.
struct BlasInfo {
  std::string name;
  bool reference = false;
};
BlasInfo DetectBlas();

// Of what an operator threw. LibTorch reports a failed allocation as a plain error, also that of
// cuBLAS (CUBLAS_STATUS_ALLOC_FAILED); the text is all there is to tell it by.
bool IsOutOfMemory(const std::exception& error);

std::string LibTorchVersion();
std::string BuildDescription();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
