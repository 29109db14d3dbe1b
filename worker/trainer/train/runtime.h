// The process around the training: signals, compute threads, the device and what a run's provenance
// says about them.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
#define COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::trainer {

// True once SIGTERM or SIGINT came, or the reader of the events is gone: everybody stops at the
// next step boundary.
std::atomic<bool>& StopFlag();
// SIGTERM and SIGINT set the flag; the second one ends the process at once with 128 + its number.
// SIGPIPE is ignored.
void InstallSignalHandlers();

// To be called first in every thread that computes: one intra-op thread (so that no sum is split by
// thread count), denormals flushed to zero.
void PrepareComputeThread();

// What `device` stands for here: "cpu". FAILED_PRECONDITION for "cuda" when this build or machine
// has none.
absl::StatusOr<std::string> SelectDevice(absl::string_view device);

// The BLAS that matrix products really go to, e.g. "openblas (libblas.so.3)". `reference` is true
// for the unoptimized one, under which training is 25 to 45 times slower.
struct BlasInfo {
  std::string name;
  bool reference = false;
};
BlasInfo DetectBlas();

std::string LibTorchVersion();
std::string BuildDescription();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
