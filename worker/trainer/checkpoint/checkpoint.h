// A member's state on disk, in the files that docs/trainer-protocol.md describes. Free of LibTorch.
#ifndef COPPICE_WORKER_TRAINER_CHECKPOINT_CHECKPOINT_H_
#define COPPICE_WORKER_TRAINER_CHECKPOINT_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/safetensors.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/model/parameters.h"

namespace coppice::trainer {

// The state, beside parameters and moments, that decides how a member goes on.
struct MemberProgress {
  int64_t step = 0;
  // The last step whose metrics were reported, 0 at the start. It is smaller than `step` in a
  // checkpoint that was written after an abandoned evaluation; the report is then due again after
  // the resume.
  int64_t reported_step = 0;
  // Sums over the steps since the last regular report.
  double loss_sum = 0;
  int64_t loss_steps = 0;
  double grad_norm = 0;  // before clipping, of the update that led to `step`
};

// One member's rows of the flat buffers, layout.row_size() floats each; not owned.
struct MemberRows {
  float* parameters = nullptr;
  float* adam_m = nullptr;
  float* adam_v = nullptr;
};

std::string CheckpointFileName(int64_t step);  // "step-000000123.safetensors"

// Atomic and durable; creates `directory`. Codes of common/base/files.h.
struct SavedCheckpoint {
  std::string path;
  WrittenFile file;
};
absl::StatusOr<SavedCheckpoint> SaveCheckpoint(const std::string& directory, const RunConfig& run,
                                               uint64_t seed, const ParameterLayout& layout,
                                               const MemberProgress& progress,
                                               const MemberRows& rows);

// Fills `rows` and returns the member's progress. On an error `rows` may be partly filled.
// DATA_LOSS: the file is damaged. FAILED_PRECONDITION: the file belongs to another run; the message
// names the difference. Otherwise codes of common/base/files.h. Messages name the path.
absl::StatusOr<MemberProgress> LoadCheckpoint(const std::string& path, const RunConfig& run,
                                              uint64_t seed, const ParameterLayout& layout,
                                              const MemberRows& rows);

// The checkpoint files of a folder, newest first. A missing folder has no files.
struct CheckpointFile {
  int64_t step = 0;
  std::string path;
};
absl::StatusOr<std::vector<CheckpointFile>> ListCheckpoints(const std::string& directory);

// Removes this member's files except the newest `checkpoint.keep` and those at multiples of
// keep_every (if positive). Damaged files, files of other runs and other kinds of files stay.
absl::Status PruneCheckpoints(const std::string& directory, const RunConfig& run, uint64_t seed);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_CHECKPOINT_CHECKPOINT_H_
