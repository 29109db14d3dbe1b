// A folder as one file, and back: POSIX ustar, which every tar reads. The writer and the reader are
// Coppice's own, because only regular files and folders occur: a general library would bring
// formats, compressions and links that must then be refused one by one.
#ifndef COPPICE_WORKER_PROGRAM_ARCHIVE_H_
#define COPPICE_WORKER_PROGRAM_ARCHIVE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory.h"

namespace coppice::worker {

// Limits of an archive's content.
inline constexpr uint64_t kMaxArchiveBytes = uint64_t{4} << 40;
inline constexpr int kMaxArchiveEntries = 100'000;
inline constexpr int kMaxArchiveDepth = 32;

struct Archived {
  std::string digest;  // XXH3-128 of the archive
  uint64_t bytes = 0;
};

// Writes the folder's content to the file `path`, durably and atomically. The bytes are a function
// of the names and the contents: names are sorted, and there are no times, owners or modes.
// INVALID_ARGUMENT: the folder holds something other than files and folders of this account, is
// empty or over the limits, has a name that is too long, or changes meanwhile. Otherwise the codes
// of files.h.
absl::StatusOr<Archived> WriteArchive(const Directory& folder, const std::string& path);

// Unpacks an archive into an empty folder. Nothing is written outside of it, and no existing file
// is replaced. DATA_LOSS: not an archive that WriteArchive wrote, or over the limits. Otherwise the
// codes of files.h.
absl::Status ReadArchive(const std::string& path, const Directory& into);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_ARCHIVE_H_
