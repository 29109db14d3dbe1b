// The process around the training: signals, compute threads, and their part of a run's provenance.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
#define COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_

#include <atomic>
#include <exception>
#include <string>

namespace coppice::trainer {

// True once a signal asked for the end, or the reader of the events is gone. All members then stop
// at the next step boundary.
std::atomic<bool>& StopFlag();
// SIGTERM, SIGINT, SIGHUP (unless it is ignored, as under nohup), SIGUSR1 and SIGUSR2 set the flag,
// however often they come: a cluster signals every process of a job, and the daemon, which gets the
// same signal, forwards its own request. Only a second SIGINT, a person's Ctrl-C, ends the process
// at once with 130, unless it comes right after the first (StopRequests). A caller without time
// sends SIGKILL.
void InstallSignalHandlers();

// Every thread that computes calls this first. It sets one intra-op thread, so that no sum is split
// by the thread count, and flushes denormals to zero.
void PrepareComputeThread();

// The library that computes matrix products, e.g. "oneDNN 2.6.3" or "openblas (libblas.so.3)".
// `reference` is true for the unoptimized BLAS, which makes training 25 to 45 times slower.
struct BlasInfo {
  std::string name;
  bool reference = false;
};
BlasInfo DetectBlas();

// True if an operator's exception reports a failed allocation. LibTorch reports these, including
// cuBLAS's CUBLAS_STATUS_ALLOC_FAILED, as plain errors, which only the text identifies.
bool IsOutOfMemory(const std::exception& error);

std::string LibTorchVersion();
std::string BuildDescription();

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_RUNTIME_H_
