// The same model and training step as a LibTorch user writes them: stock modules, autograd,
// torch::optim. No LibTorch in this header: its full headers are compiled once, in baseline.cc.
#ifndef COPPICE_BENCH_TRAINER_BASELINE_H_
#define COPPICE_BENCH_TRAINER_BASELINE_H_

#include <cstdint>
#include <memory>

#include "worker/trainer/config.h"
#include "worker/trainer/model/parameters.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::bench {

enum class BaselineKind {
  // nn::Linear for each of q, k, v and merge, torch::optim::AdamW, clip_grad_norm_ and loss.item()
  // in every step.
  kEager,
  // What a careful user changes: one product for q, k and v; parameters, moments and gradients in
  // flat buffers that clipping and AdamW pass over with a few whole-buffer operations; nothing
  // waits for a number; gradients set to none; denormals flushed. Knows no
  // weight decay.
  kTuned
};

// One seed's training. Sentences are padded to the longest of their batch, as stock modules need
// it. Not thread-safe; LibTorch's errors leave as exceptions.
class Baseline {
 public:
  // `dataset` must outlive it. Starts from the trainer's own initial weights for the seed.
  Baseline(BaselineKind kind, const trainer::RunConfig& run, const trainer::Dataset* dataset,
           uint64_t seed);
  ~Baseline();

  // Trains from `step` to step + 1, on the batch that the trainer's member of this seed takes.
  void Step(int64_t step);

  // For comparisons: turns the model into a float64 one for good, and returns the loss on a step's
  // batch and its gradient, in a row of trainer::ParameterLayout (gaps are left alone).
  double LossAndGradients(int64_t step, double* gradients);
  void CopyParameters(float* row) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// For every thread of this process that computes with stock operators.
void SetComputeThreads(int threads);
// Keeps freed memory instead of returning it to the system at each step, as allocators that are
// preloaded for training do.
void KeepFreedMemory();

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_TRAINER_BASELINE_H_
