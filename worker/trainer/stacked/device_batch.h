// A pack's batches in the device's form: fixed shapes for which a captured graph can be replayed.
// All that differs between steps is in memory.
#ifndef COPPICE_WORKER_TRAINER_STACKED_DEVICE_BATCH_H_
#define COPPICE_WORKER_TRAINER_STACKED_DEVICE_BATCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/trainer/model/batch.h"
#include "worker/trainer/model/dropout.h"
#include "worker/trainer/model/pack_batch.h"
#include "worker/trainer/stacked/lanes.h"

namespace coppice::trainer {

// The place of a row in a batch. A row past the batch's own has length 0 and is written as zeros.
struct RowPlace {
  int32_t sequence = 0;
  int32_t index = 0;     // in its sequence; its first row is this row - index
  int32_t length = 0;    // of its sequence
  int32_t position = 0;  // in the table of positions
  int64_t weights = 0;   // first attention weight of its sequence: [heads, length, length]
};

// The contents of the members' batches. The host writes them before each step.
struct DeviceBatch {
  int64_t rows = 0;                     // R of the shapes below, the same for all members
  const int64_t* row_counts = nullptr;  // [K] a member's own rows, at most R
  const RowPlace* places = nullptr;     // [K, R]
  const int32_t* tokens = nullptr;      // [K, R]
  const int32_t* targets = nullptr;     // [K, R]
};

// The factors of AdamW in one step.
struct UpdateFactors {
  double clip = 1;
  double rate = 0;   // learning rate over the first moment's bias correction
  double root2 = 1;  // 1 / sqrt(the second moment's bias correction)
  double decay = 1;  // 1 - learning rate * weight decay
};

// A member's state beside its flat rows. The device advances by itself: it increments `step` after
// each update, and the next masks depend on it.
struct DeviceMember {
  Dropout dropout;
  int64_t step = 0;        // updates so far; dropout.step is its low half
  double loss = 0;         // mean over the rows of the last batch
  double norm = 0;         // of the last gradient, before clipping
  double loss_sum = 0;     // over the updates since the host last set it
  int64_t loss_steps = 0;  // the number of those updates
  UpdateFactors factors;
  // 1 from the first loss or norm that is not finite, and for a member that has ended. Weights,
  // moments and step then no longer change, however many steps are replayed before the host
  // notices.
  int32_t stopped = 0;
};

// The pack, passed to each operation by value.
struct DevicePack {
  int64_t members = 0;            // K
  int64_t attention_weights = 0;  // room for one member's
  DeviceBatch batch;
  DeviceMember* state = nullptr;  // [K]
};

// The parts of a pack in the device's memory that the model needs.
inline DeviceCopy CopyOf(std::shared_ptr<const DevicePack> pack) {
  return {pack->members, pack->batch.rows, pack->attention_weights, pack};
}

// An item of an operation that treats each row of each member separately.
struct RowItem {
  int64_t member = 0;
  int64_t row = 0;  // of the member
};

COPPICE_HOST_DEVICE inline RowItem RowItemOf(const DevicePack& pack, int64_t item) {
  return {item / pack.batch.rows, item % pack.batch.rows};
}

COPPICE_HOST_DEVICE inline RowPlace PlaceOf(const DevicePack& pack, int64_t item) {
  return pack.batch.places[item];
}

COPPICE_HOST_DEVICE inline uint32_t MaskRowOf(const RowPlace& place, int64_t head) {
  return MaskRow(place.sequence, head, place.index);
}

// Steps are captured for buckets of rows. The rows of the bucket for batches of up to `rows` rows:
// the next multiple of 32, or from 512 rows on, of an eighth of the power of two below. So at most
// an eighth of a bucket is empty (for a batch under 256 rows: at most 31 rows). There are eight
// buckets from one power of two to the next.
inline int64_t BucketRows(int64_t rows) {
  int64_t grain = 32;
  while (16 * grain <= rows) grain *= 2;
  return rows <= 0 ? grain : (rows + grain - 1) / grain * grain;
}

// The size of the host's data of a pack's batches for one step: the arrays of DeviceBatch, one
// after the other, so that one copy brings them to the device.
int64_t BatchBytes(int64_t members, int64_t rows);

// The arrays in the BatchBytes bytes at `base`, which is aligned to 8.
DeviceBatch BatchAt(void* base, int64_t members, int64_t rows);

// Writes the members' batches to `base` in host memory. `rows` is at least the largest member's;
// rows past a member's own are empty.
void LayOut(const std::vector<const MemberBatch*>& members, int64_t heads, int64_t rows,
            void* base);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_DEVICE_BATCH_H_
