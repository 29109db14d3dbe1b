// The batches of a pack as the model's operations see them, free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_MODEL_PACK_BATCH_H_
#define COPPICE_WORKER_TRAINER_MODEL_PACK_BATCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/trainer/model/batch.h"
#include "worker/trainer/model/dropout.h"

namespace coppice::trainer {

struct DevicePack;  // stacked/device_batch.h: only the stacked operations look inside

// A pack's batches in a device's memory, and the shape that the model needs of them.
struct DeviceCopy {
  int64_t members = 0;            // K
  int64_t rows = 0;               // R of the device's arrays, at least the members' largest
  int64_t attention_weights = 0;  // room for one member's
  std::shared_ptr<const DevicePack> pack = nullptr;  // null: there is no copy
};

// The batches of K members, stacked. R is the largest of their row counts. Rows past a member's own
// are zero in every activation and gradient.
struct PackBatch {
  std::vector<const MemberBatch*> members;  // K
  std::vector<Dropout> dropout;             // K
  // Once set, the operations read only this copy, and `members` may be empty.
  DeviceCopy on_device = {};

  int64_t width() const;  // K
  int64_t rows() const;   // R
  // The number of attention weights of the member that has the most.
  int64_t attention_weights(int64_t heads) const;
};

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_MODEL_PACK_BATCH_H_
