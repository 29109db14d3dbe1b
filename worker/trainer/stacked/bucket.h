// The fixed shapes for which steps are captured.
#ifndef COPPICE_WORKER_TRAINER_STACKED_BUCKET_H_
#define COPPICE_WORKER_TRAINER_STACKED_BUCKET_H_

#include <cstdint>

namespace coppice::trainer {

// The rows of the bucket for batches of up to `rows` rows: the next multiple of 32, or from 512
// rows on, of an eighth of the power of two below. So at most an eighth of a bucket is empty (for a
// batch under 256 rows: at most 31 rows). There are eight buckets from one power of two to the
// next.
inline int64_t BucketRows(int64_t rows) {
  int64_t grain = 32;
  while (16 * grain <= rows) grain *= 2;
  return rows <= 0 ? grain : (rows + grain - 1) / grain * grain;
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_STACKED_BUCKET_H_
