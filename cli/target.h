// The forms of an argument that names a sweep, a part of one or a job; nobody is asked.
#ifndef COPPICE_CLI_TARGET_H_
#define COPPICE_CLI_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::cli {

struct Target {
  // A number alone is both `job` and `sweep`; otherwise one of them is unset.
  std::optional<uint64_t> job;
  std::string sweep;  // empty: the only one
  // Unset: all of them.
  std::optional<std::string> task;
  std::optional<uint32_t> depth;
  std::optional<uint32_t> seed;
};

bool IsTask(absl::string_view text);
// Digits alone.
bool IsNumber(absl::string_view text);

// INVALID_ARGUMENT for what is none of the forms that select.h lists. Empty text is the only sweep.
absl::StatusOr<Target> ParseTarget(const std::string& text);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TARGET_H_
