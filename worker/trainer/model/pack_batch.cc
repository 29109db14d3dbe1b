#include "worker/trainer/model/pack_batch.h"

#include <algorithm>

#include "worker/trainer/model/kernels.h"

namespace coppice::trainer {

int64_t PackBatch::width() const {
  return on_device.pack == nullptr ? static_cast<int64_t>(members.size()) : on_device.members;
}

int64_t PackBatch::rows() const {
  if (on_device.pack != nullptr) return on_device.rows;
  int64_t rows = 0;
  for (const MemberBatch* member : members) rows = std::max(rows, member->rows());
  return rows;
}

int64_t PackBatch::attention_weights(int64_t heads) const {
  if (on_device.pack != nullptr) return on_device.attention_weights;
  int64_t count = 0;
  for (const MemberBatch* member : members) {
    count = std::max(count, AttentionWeightCount(
                                {member->sequences.data(),
                                 static_cast<int64_t>(member->sequences.size()), member->rows()},
                                heads));
  }
  return count;
}

}  // namespace coppice::trainer
