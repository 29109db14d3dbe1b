// Sweep specs as messages: their validation, the resolution of settings, the work of a run.
#ifndef COPPICE_COMMON_SPEC_SPEC_H_
#define COPPICE_COMMON_SPEC_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

// One mistake. `path` names the field as a user writes it (`model.heads`,
// `overrides[1].train.steps`, `depths[0]`). `message` gives the mistake in its value and the
// remedy.
struct Problem {
  std::string path;
  std::string message;
};

// All mistakes in a spec, in the order of its fields; empty when it is valid. Checks ranges, names,
// emptiness, duplicates in lists, the size of the grid, and every resolved run (heads must divide
// d_model in each group, also where an override changes one of them).
std::vector<Problem> ValidateSweepSpec(const v1::SweepSpec& spec);

// INVALID_ARGUMENT with one line per problem; OK when there are none.
absl::Status ProblemsToStatus(const std::vector<Problem>& problems);

// The settings of one group with every field set: the paper's defaults, then the spec, then its
// overrides in order. The spec must be valid.
v1::RunConfig ResolveRun(const v1::SweepSpec& spec, const std::string& task, uint32_t depth);

// Multiply-adds of one training step of one seed, which the scheduler takes as a job's length:
// three times those of a forward pass over the tokens of a mean batch (27 tokens per sentence for
// question and tense, 51 for dyck). A constant for a program, of which nothing is known.
double WorkPerStep(const v1::RunConfig& run);

// The `run` object of the trainer's run spec (docs/trainer-protocol.md). For a program:
// train.steps, report, checkpoint, and `program` with its settings and environment as objects. The
// order of fields and the form of numbers are canonical, so equal runs give equal text.
std::string RunConfigToJson(const v1::RunConfig& run);
absl::StatusOr<v1::RunConfig> RunConfigFromJson(const std::string& json);

// The spec's value or its default.
int32_t Priority(const v1::SweepSpec& spec);
uint32_t MaxFailures(const v1::SweepSpec& spec);

// Whether two specs describe the same jobs with the same settings. An explicit default or another
// order of a list makes no difference.
bool SameSweep(const v1::SweepSpec& a, const v1::SweepSpec& b);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_SPEC_H_
