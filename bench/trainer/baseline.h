// The same model and training step as a LibTorch user would write them: stock modules, autograd,
// torch::optim. This header includes no LibTorch, whose full headers are compiled once, in
// baseline.cc.
#ifndef COPPICE_BENCH_TRAINER_BASELINE_H_
#define COPPICE_BENCH_TRAINER_BASELINE_H_

#include <cstdint>
#include <memory>

#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

enum class BaselineKind {
  // nn::Linear for each of q, k, v and merge, torch::optim::AdamW, clip_grad_norm_ and loss.item()
  // in every step.
  kEager,
  // A careful user's version: one product for q, k and v; parameters, moments and gradients in flat
  // buffers, which clipping and AdamW process in a few whole-buffer operations; no wait for a
  // number; gradients set to none; denormals flushed. Has no weight decay.
  kTuned
};

// The training of one seed. Sentences are padded to the longest of their batch, as stock modules
// require. Not thread-safe. LibTorch's errors leave as exceptions.
class Baseline {
 public:
  // `dataset` must outlive it. It starts from the trainer's own initial weights for the seed.
  Baseline(BaselineKind kind, const trainer::RunConfig& run, const trainer::Dataset* dataset,
           uint64_t seed);
  ~Baseline();

  // Trains from `step` to step + 1, on the batch that the trainer's member of this seed would take.
  void Step(int64_t step);

  // For comparisons: converts the model to float64 for good, and returns the loss on a step's
  // batch. Writes its gradient to a row of trainer::ParameterLayout, whose gaps stay untouched.
  double LossAndGradients(int64_t step, double* gradients);
  void CopyParameters(float* row) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Sets the threads of stock operators, for every thread of this process.
void SetComputeThreads(int threads);
// Keeps freed memory instead of returning it to the system at each step, as do allocators that are
// preloaded for training.
void KeepFreedMemory();

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_BASELINE_H_
