// The scored items of a split. They do not depend on the source of its examples.
#ifndef COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_
#define COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_

#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

// Fills `choices` or `decodes` of val, test and gen. The examples must be well-formed.
void AddEvaluationSets(const DatasetOptions& options, Dataset* dataset);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_EVALUATION_H_
