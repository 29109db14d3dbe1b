// Decides which files of the checkpoint root are garbage, without a disk.
#ifndef COPPICE_COORDINATOR_CORE_GARBAGE_PLAN_H_
#define COPPICE_COORDINATOR_CORE_GARBAGE_PLAN_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Parse the layout of the checkpoint root: <sweep>/<job>/attempt-<attempt>. Similar names (with a
// leading zero or a sign) are not Coppice's.
std::optional<JobId> ParseJobFolder(absl::string_view name);
std::optional<AttemptNumber> ParseAttemptFolder(absl::string_view name);

// A regular file, or an attempt's folder.
struct FoundFile {
  std::string path;  // relative to the checkpoint root
  absl::Time modified;
  uint64_t bytes = 0;
};

// The contents of one job's folder <sweep>/<job>.
struct FoundJob {
  std::string sweep;
  JobId job = 0;
  std::vector<FoundFile> files;    // directly in its attempts' folders
  std::vector<FoundFile> folders;  // those folders
};

// The store's state of a job, read after its folder was listed.
struct JobFacts {
  std::string sweep;                        // its name
  std::string current_dir;                  // folder of the running attempt; empty: none runs
  absl::flat_hash_set<std::string> listed;  // paths of its committed checkpoints
};

struct GarbagePlan {
  std::vector<FoundFile> files;
  std::vector<FoundFile> folders;  // to be removed if they are empty
};

// A file is garbage if it is not listed, not in the folder of the running attempt, and not younger
// than `min_age`. `facts` is null for a job that the store does not know. Garbage stays garbage,
// whatever is committed while it is being removed. Only a file of the running attempt can become
// listed. An attempt that has ended never runs again, because attempt numbers grow. A file exists
// only after its attempt was granted, so facts read after the files were found know every attempt
// that can own one. The minimum age protects against other causes: a person's mistake or a wrong
// clock.
GarbagePlan PlanGarbage(const FoundJob& found, const JobFacts* facts, absl::Time now,
                        absl::Duration min_age);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_GARBAGE_PLAN_H_
