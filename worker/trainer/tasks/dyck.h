// Dyck-20,10: strings of 20 bracket types, at most 10 of them open at a time.
#ifndef COPPICE_WORKER_TRAINER_TASKS_DYCK_H_
#define COPPICE_WORKER_TRAINER_TASKS_DYCK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

inline constexpr int kDyckTypes = 20;
inline constexpr int kDyckDepth = 10;
inline constexpr int kDyckShortest = 4;  // brackets

// The 40 tokens "(a".."(t" and "a)".."t)". A string's END is the model's EOS.
const Vocabulary& DyckVocabulary();

// Token ids of the closing brackets, by type.
const std::vector<int32_t>& DyckClosers();

// INVALID_ARGUMENT: names the bracket (counted from 1) and the rule that it breaks.
absl::Status CheckDyckString(absl::Span<const int32_t> tokens);

// Generates all four splits, without evaluation sets. See MakeDataset for the rules.
absl::StatusOr<Dataset> MakeDyckDataset(const DatasetOptions& options);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_TASKS_DYCK_H_
