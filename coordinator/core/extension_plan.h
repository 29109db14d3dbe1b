// Decides what an extension changes, from the stored sweep and the wanted one.
#ifndef COPPICE_COORDINATOR_CORE_EXTENSION_PLAN_H_
#define COPPICE_COORDINATOR_CORE_EXTENSION_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/extension.h"
#include "coordinator/core/store.h"

namespace coppice::core {

// A group to insert, and the seeds of its jobs.
struct NewGroup {
  GroupRow row;
  std::vector<uint32_t> seeds;
};

struct ExtensionPlan {
  SweepRow sweep;  // as it will be
  std::string stored_blob;
  std::vector<NewGroup> added;
  std::vector<GroupRow> changed;   // as they will be
  std::vector<GroupRow> longer;    // those of them that get more steps, as they are
  std::vector<GroupRow> fresh;     // those of which no job may have begun
  std::vector<GroupId> to_follow;  // those of `longer` with jobs that must follow
  bool continuing = false;         // an earlier extension has yet to reach some jobs
  Extension extension;

  bool changes() const { return !added.empty() || !changed.empty() || !extension.settings.empty(); }
};

// Reads the stored sweep and compares. `request.spec` is valid (planner.h). NOT_FOUND: there is no
// such sweep. INVALID_ARGUMENT: too many new jobs.
absl::StatusOr<ExtensionPlan> PlanExtension(ReadTransaction& read, const ExtendRequest& request);

// Sets how many jobs go on, how many steps they repeat, and `to_follow`, to what the store says
// now.
absl::Status CountContinuations(ReadTransaction& read, ExtensionPlan& plan);

// The error of an extension that cannot be made.
absl::Status RefusedExtension(const std::string& sweep, const Extension& extension);

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_EXTENSION_PLAN_H_
