// Sweep specs as messages: what is valid, what each setting resolves to, how much work a run is.
#ifndef COPPICE_COMMON_SPEC_SPEC_H_
#define COPPICE_COMMON_SPEC_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

inline constexpr uint64_t kMaxJobsPerSweep = 5'000'000;

// One thing that is wrong. `path` names the field as a user writes it (`model.heads`,
// `overrides[1].train.steps`, `depths[0]`); `message` says what is wrong with the value and what to
// do about it.
struct Problem {
  std::string path;
  std::string message;
};

// Everything wrong with a spec, in the order of its fields; empty when it is valid. Checks ranges,
// names, emptiness, duplicates in lists, the size of the grid, and every resolved run (heads must
// divide d_model in each group, also where an override changes one of them).
std::vector<Problem> ValidateSweepSpec(const v1::SweepSpec& spec);

// INVALID_ARGUMENT that lists the problems, one a line; OK when there are none.
absl::Status ProblemsToStatus(const std::vector<Problem>& problems);

// The settings of one group with every field set: the paper's defaults, then the spec, then its
// overrides in order. The spec must be valid.
v1::RunConfig ResolveRun(const v1::SweepSpec& spec, const std::string& task, uint32_t depth);

// Multiply-adds of one training step of one seed, the scheduler's measure of length: three times
// those of a forward pass over the tokens of a mean batch (27 tokens a sentence for question and
// tense, 51 for dyck).
double WorkPerStep(const v1::RunConfig& run);

// The `run` object of the trainer's run spec (docs/trainer-protocol.md); field order and numbers
// are canonical, so equal runs give equal text.
std::string RunConfigToJson(const v1::RunConfig& run);
absl::StatusOr<v1::RunConfig> RunConfigFromJson(const std::string& json);

// The spec's value or its default.
int32_t Priority(const v1::SweepSpec& spec);
uint32_t MaxFailures(const v1::SweepSpec& spec);

// Equal as a user means it: the same jobs with the same settings (a default written out or a list
// in another order makes no difference).
bool SameSweep(const v1::SweepSpec& a, const v1::SweepSpec& b);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_SPEC_H_
