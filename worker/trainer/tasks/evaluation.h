// What is scored on a split; independent of where its examples came from.
#ifndef COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_
#define COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_

#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// Fills `choices` or `decodes` of val, test and gen. The examples are well-formed.
void AddEvaluationSets(const DatasetOptions& options, Dataset* dataset);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_
