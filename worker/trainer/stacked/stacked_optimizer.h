// The update of all members' weights on a device.
#ifndef COPPICE_WORKER_TRAINER_STACKED_STACKED_OPTIMIZER_H_
#define COPPICE_WORKER_TRAINER_STACKED_STACKED_OPTIMIZER_H_

#include <stdexcept>
#include <utility>

#include "ATen/core/Tensor.h"
#include "ATen/ops/from_blob.h"
#include "worker/trainer/stacked/adamw.h"
#include "worker/trainer/stacked/scratch_memory.h"

namespace coppice::trainer {

// A pack's flat rows [K, P], in the device's memory.
struct FlatRows {
  at::Tensor parameters, gradients, adam_m, adam_v;
};

// Enqueues work like the operations of stacked_ops.h, with the same rule for scratch memory.
class PackOptimizer {
 public:
  virtual ~PackOptimizer() = default;

  // The clipped AdamW update of every member that has not stopped.
  virtual void Update(const UpdateSettings& settings, const FlatRows& rows,
                      DeviceMember* state) = 0;
  // The sum of squares of each member's row of x [K, P], in float64: [K] in host memory.
  virtual at::Tensor SquareSums(const at::Tensor& x) = 0;
};

// `Runner`: see StackedOps.
template <typename T, typename Runner>
class StackedOptimizer final : public PackOptimizer {
 public:
  StackedOptimizer(at::Device device, Runner run) : scratch_(device), run_(std::move(run)) {}

  void Update(const UpdateSettings& settings, const FlatRows& rows, DeviceMember* state) override {
    const int64_t members = rows.gradients.size(0), size = rows.gradients.size(1);
    double* const sums = ChunkSums(rows.gradients);
    run_(PrepareUpdate{settings, members, SquareChunks(size), sums, state});
    run_(AdamWElement<T>{settings, members, size, state, DataOf<T>(rows.gradients),
                         DataOf<T>(rows.adam_m), DataOf<T>(rows.adam_v),
                         DataOf<T>(rows.parameters)});
  }

  at::Tensor SquareSums(const at::Tensor& x) override {
    const int64_t members = x.size(0), chunks = SquareChunks(x.size(1));
    const at::Tensor sums = at::from_blob(ChunkSums(x), {members, chunks},
                                          at::TensorOptions(at::kDouble).device(scratch_.device()));
    return sums.sum(1).to(at::kCPU);
  }

 private:
  enum Purpose { kSquares };

  // [K, SquareChunks(P)] of x [K, P], whose rows are contiguous.
  double* ChunkSums(const at::Tensor& x) {
    const int64_t members = x.size(0), size = x.size(1), chunks = SquareChunks(size);
    if (!x.is_contiguous()) throw std::invalid_argument("rows of a pack must be contiguous");
    double* const sums = scratch_.template Take<double>(kSquares, members * chunks);
    run_(SquareSumChunk<T>{members, size, chunks, DataOf<T>(x), sums});
    return sums;
  }

  ScratchMemory scratch_;
  const Runner run_;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_STACKED_OPTIMIZER_H_
