// Which files of the checkpoint root nobody will ever ask for again: the decision, without a disk.
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

// The layout of the checkpoint root: <sweep>/<job>/attempt-<attempt>. Names that only look like it
// (a zero in front, a sign) are not ours.
std::optional<JobId> ParseJobFolder(absl::string_view name);
std::optional<AttemptNumber> ParseAttemptFolder(absl::string_view name);

// A regular file, or an attempt's folder.
struct FoundFile {
  std::string path;  // relative to the checkpoint root
  absl::Time modified;
  uint64_t bytes = 0;
};

// What was found of one job's folder <sweep>/<job>.
struct FoundJob {
  std::string sweep;
  JobId job = 0;
  std::vector<FoundFile> files;    // directly in its attempts' folders
  std::vector<FoundFile> folders;  // those folders
};

// What the store says of a job at one moment after the folder was looked at.
struct JobFacts {
  std::string sweep;                        // its name
  std::string current_dir;                  // of the attempt that runs; empty: none does
  absl::flat_hash_set<std::string> listed;  // paths of its committed checkpoints
};

struct GarbagePlan {
  std::vector<FoundFile> files;
  std::vector<FoundFile> folders;  // to be removed if they are empty
};

// Garbage is what is neither listed, nor in the folder of the attempt that runs, nor younger than
// `min_age`. `facts` is null for a job that the store does not know. Why it stays garbage, whatever
// is committed while it is being removed: only a file of the running attempt can become listed, an
// attempt that does not run never runs again (attempts grow), and a file exists only after its
// attempt was granted. So facts read after the files were found know every attempt that a file can
// belong to. The age spares what these reasons do not: a person's mistake, a clock.
GarbagePlan PlanGarbage(const FoundJob& found, const JobFacts* facts, absl::Time now,
                        absl::Duration min_age);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_GARBAGE_PLAN_H_
