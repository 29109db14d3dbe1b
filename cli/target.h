// Parses an argument that names a sweep, a part of one, or a job, without asking the coordinator.
#ifndef COPPICE_CLI_TARGET_H_
#define COPPICE_CLI_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/where.h"

namespace coppice::cli {

struct Target {
  // A bare number sets both `job` and `sweep`. Otherwise one of them is unset.
  std::optional<uint64_t> job;
  std::string sweep;  // empty: the only sweep
  // Unset: all of them.
  std::optional<std::string> task;
  std::optional<uint32_t> depth;
  std::optional<uint32_t> seed;
  // The conditions of SWEEP/AXIS=VALUE/..., in any order; task, depth and seed above are unset
  // then.
  std::vector<AxisText> where;
};

bool IsTask(absl::string_view text);
// Digits alone.
bool IsNumber(absl::string_view text);

// INVALID_ARGUMENT for text in none of the forms in select.h. Empty text means the only sweep.
absl::StatusOr<Target> ParseTarget(const std::string& text);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TARGET_H_
