#ifndef COPPICE_WORKER_TRAINER_TRAIN_TRAINING_BATCH_H_
#define COPPICE_WORKER_TRAINER_TRAIN_TRAINING_BATCH_H_

#include <cstdint>

#include "worker/trainer/model/batch.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// Fills the batch with the training examples of these indices.
inline void FillBatch(const Dataset& dataset, const int32_t* indices, int64_t count,
                      MemberBatch* batch) {
  batch->Clear();
  for (int64_t i = 0; i < count; ++i) {
    const Example& example = dataset.train.examples[indices[i]];
    batch->Append(example.tokens.data(), static_cast<int32_t>(example.tokens.size()),
                  dataset.vocabulary.sos(), dataset.vocabulary.eos());
  }
}

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TRAIN_TRAINING_BATCH_H_
