// Judges machines by the attempts that ran on them.
#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_WORKER_HEALTH_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_WORKER_HEALTH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Purpose: finds workers that fail every job (a broken GPU, a missing library, a full disk). Such a
// worker is always free, so it would otherwise take job after job and charge each.
//   1. An attempt that fails before anything of it is durable counts against its worker, once for
//      each pack and each job. A job that fails everywhere thus does not discredit its machines.
//   2. After kFailures in a row the worker is suspect. While another worker is connected it gets no
//      work for a minute, then for twice as long after each further failure, up to half an hour.
//   3. Progress of any job on it, or a new process of its name, clears the suspicion.
// It also keeps each worker's pack width for a group. A width limited by memory is half of the
// width that did not fit; it holds until a process with other settings takes the name. A width that
// the worker measured to be best holds until any other process takes the name, which then reports
// its own. Owner: the writer thread; no other thread touches it. It changes only after commits. No
// failure codes. Durability: none; a restarted coordinator trusts every worker and learns again.
class WorkerHealth {
 public:
  static constexpr uint32_t kFailures = 3;
  static constexpr absl::Duration kFirstBackoff = absl::Minutes(1);
  static constexpr absl::Duration kLongestBackoff = absl::Minutes(30);

  struct Suspicion {
    absl::Duration until;  // monotonic
    int64_t until_ms = 0;  // for people
    std::string reason;
  };
  struct Failure {
    std::string request_id;  // one for all jobs of a pack
    JobId job_id = 0;
    std::string what;
  };

  void OnFailure(const std::string& worker, const Failure& failure, absl::Duration now,
                 int64_t now_ms);
  void OnProgress(const std::string& worker, int64_t now_ms);
  // `same_settings`: the process has the device and pack width of the one before.
  void OnNewProcess(const std::string& worker, bool same_settings);
  void Forget(const std::string& worker);

  // Empty: the worker is trusted.
  std::optional<Suspicion> SuspicionOf(const std::string& worker, absl::Duration now) const;
  // Returns the time at which the next suspicion ends.
  std::optional<absl::Duration> NextEnd(absl::Duration now) const;
  // Returns the wall time at which a job last made progress on the worker; 0: none seen.
  int64_t progressed_ms(const std::string& worker) const;

  // Notes that a pack of `width` jobs of the group was too wide for the worker.
  void OnTooWide(const std::string& worker, GroupId group, uint32_t width);
  // Notes that packs of `width` jobs of the group are best on the worker.
  void OnMeasured(const std::string& worker, GroupId group, uint32_t width);
  // True if OnTooWide or OnMeasured has reported a width.
  bool KnowsWidth(const std::string& worker, GroupId group) const;
  // Returns the pack width to grant when the worker asks for `asked`.
  uint32_t WidthFor(const std::string& worker, GroupId group, uint32_t asked) const;

 private:
  struct Entry {
    uint32_t failures = 0;  // packs in a row
    std::string last_request;
    std::set<JobId> jobs;
    Suspicion suspicion;  // its end has passed if the worker is not suspect
    int64_t progressed_ms = 0;
    std::map<GroupId, uint32_t> widths;    // that fit in memory
    std::map<GroupId, uint32_t> measured;  // that were measured as best
  };
  absl::flat_hash_map<std::string, Entry> workers_;
  std::set<std::string> suspects_;  // workers with a suspicion, over or not
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_WORKER_HEALTH_H_
