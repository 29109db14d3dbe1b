// The description that a checkpoint file carries of itself (docs/trainer-protocol.md). The trainer
// that resumes from it reads it, and so do programs without a trainer.
#ifndef COPPICE_COMMON_BASE_CHECKPOINT_FILE_H_
#define COPPICE_COMMON_BASE_CHECKPOINT_FILE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

inline constexpr absl::string_view kCheckpointFormat = "coppice-checkpoint";
inline constexpr absl::string_view kCheckpointVersion = "1";
// Prefixes of the tensors' names. Each parameter has a tensor under each of the three.
inline constexpr absl::string_view kModelPrefix = "model.";
inline constexpr absl::string_view kAdamMPrefix = "adam_m.";
inline constexpr absl::string_view kAdamVPrefix = "adam_v.";

struct CheckpointIdentity {
  uint64_t seed = 0;
  int64_t step = 0;
  std::string run;  // the run spec's `run` object as JSON text
};

// Reads the identity from a file's metadata. FAILED_PRECONDITION: another format or version.
// DATA_LOSS: a field is missing or is not a number.
absl::StatusOr<CheckpointIdentity> ReadCheckpointIdentity(
    const std::map<std::string, std::string>& metadata);

struct CheckpointSummary {
  uint64_t seed = 0;
  int64_t step = 0;
  std::string task;
  uint32_t depth = 0;
  uint64_t tensors = 0;
  uint64_t parameters = 0;  // of the model, without the moments
  std::string digest;       // of the whole file, as the coordinator stores it
  uint64_t bytes = 0;
};

// Checks a file from end to end: structure, inner digest, format and version, both moments of each
// parameter, the report's counters. Codes: those of ReadCheckpointIdentity and of
// InspectSafetensors. Messages name the path.
absl::StatusOr<CheckpointSummary> InspectCheckpoint(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_CHECKPOINT_FILE_H_
