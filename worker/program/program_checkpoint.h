// The checkpoints of a user's own program on disk. The program saves below its work folder, which
// lies in the attempt's folder (kProgramWorkFolder). Whatever is left in it at the end is removed.
// The worker takes what the program names from there, so
// nothing that the program does later changes it.
#ifndef COPPICE_WORKER_PROGRAM_PROGRAM_CHECKPOINT_H_
#define COPPICE_WORKER_PROGRAM_PROGRAM_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::worker {

struct TakenCheckpoint {
  std::string file;    // its name in the attempt's folder
  std::string digest;  // XXH3-128 of the file
  uint64_t bytes = 0;
};

// Makes the work folder of an attempt and returns its path.
absl::StatusOr<std::string> MakeWorkFolder(const std::string& attempt_dir);

// Takes the file or folder `path`, relative to the work folder, and makes it durable. The file
// model.pt becomes `step-<9 digits>.file.pt`, and a folder the archive `step-<9 digits>.tar`.
// INVALID_ARGUMENT: there is nothing to save, or something other than files and folders. Otherwise
// the codes of files.h: a disk refused it.
absl::StatusOr<TakenCheckpoint> TakeCheckpoint(const std::string& attempt_dir,
                                               const std::string& path, uint32_t step);

// Returns what a program resumes from: `file` itself, or the folder below the work folder into
// which the archive was unpacked. Codes as of ReadArchive.
absl::StatusOr<std::string> UnpackCheckpoint(const std::string& file,
                                             const std::string& attempt_dir, uint32_t step);

// Removes the work folder with everything in it. OK if there is none.
absl::Status RemoveWorkFolder(const std::string& attempt_dir);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_PROGRAM_CHECKPOINT_H_
