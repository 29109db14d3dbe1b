// The loop that trains a pack, as the engine sees it.
#ifndef COPPICE_WORKER_TRAINER_TRAIN_PACK_LOOP_H_
#define COPPICE_WORKER_TRAINER_TRAIN_PACK_LOOP_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/trainer/train/member.h"

namespace coppice::trainer {

// The members' state in host memory, from which they are saved. Member k has row k.
struct PackBuffers {
  at::Tensor parameters, adam_m, adam_v;  // [K, P]
  at::Tensor snapshots;                   // [K, 3, P], or [0, 3, P]: see MemberCheckpoints
};

// Trains members. Between two steps it lets each member do its own bookkeeping (Member::Settle).
// Two kinds: CpuLoop (cpu_loop.h) trains each member by itself, on several threads. StackedLoop
// (stacked/stacked_loop.h) trains the pack as one model on a device.
//
// Owned by the engine. Life: 1. The constructor allocates host memory, so that a pack that is too
// wide fails here. 2. Run.
class PackLoop {
 public:
  virtual ~PackLoop() = default;

  // The number of threads that may initialize members before Run.
  virtual int64_t setup_threads() const = 0;
  // Trains each of these members to its end, and returns when none of them runs. Called once, by a
  // thread that computes nothing else. Does not throw: an error ends the members that it concerns.
  virtual void Run(const std::vector<Member*>& members) = 0;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_PACK_LOOP_H_
