// What attempts say about the machines they ran on.
#ifndef COPPICE_COORDINATOR_CORE_WORKER_HEALTH_H_
#define COPPICE_COORDINATOR_CORE_WORKER_HEALTH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "coordinator/core/types.h"

namespace coppice::core {

// Purpose: finds workers that fail whatever they get (a broken GPU, a missing library, a full
// disk): such a worker is always free, so without this it would take job after job and charge each.
//   1. An attempt that fails before anything of it is durable counts against its worker, once for
//   each pack and each job: a job that fails everywhere is not held against the machines it meets.
//   2. With kFailures in a row the worker is suspect: while another worker is connected it gets
//   nothing, for a minute, then for twice as long after each further failure, up to half an hour.
//   3. Progress of any job on it, or a new process of its name, clears it.
// It also keeps how wide a pack of a group a worker gets. What its memory holds: half of what did
// not fit, until a process with other settings takes the name. What it has measured to be best:
// until any other process does, which then knows its own. Owner: the writer thread, the only one to
// touch it; changed after commits. No failure codes. Durability: none; a coordinator that starts
// anew trusts everybody and learns again.
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
  // `same_settings`: device and pack width are those of the process before.
  void OnNewProcess(const std::string& worker, bool same_settings);
  void Forget(const std::string& worker);

  // Empty: it is trusted.
  std::optional<Suspicion> SuspicionOf(const std::string& worker, absl::Duration now) const;
  // When the next suspicion ends.
  std::optional<absl::Duration> NextEnd(absl::Duration now) const;
  // Wall time at which a job last got further on it than ever before; 0: not seen.
  int64_t progressed_ms(const std::string& worker) const;

  // A pack of `width` jobs of the group was too wide.
  void OnTooWide(const std::string& worker, GroupId group, uint32_t width);
  // Packs of `width` jobs of the group are best on it.
  void OnMeasured(const std::string& worker, GroupId group, uint32_t width);
  // One of the two has been told.
  bool KnowsWidth(const std::string& worker, GroupId group) const;
  // What of `asked` it gets.
  uint32_t WidthFor(const std::string& worker, GroupId group, uint32_t asked) const;

 private:
  struct Entry {
    uint32_t failures = 0;  // packs in a row
    std::string last_request;
    std::set<JobId> jobs;
    Suspicion suspicion;  // not suspect: its end is past
    int64_t progressed_ms = 0;
    std::map<GroupId, uint32_t> widths;    // that fit
    std::map<GroupId, uint32_t> measured;  // that are best
  };
  absl::flat_hash_map<std::string, Entry> workers_;
  std::set<std::string> suspects_;  // those with a suspicion, over or not
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_WORKER_HEALTH_H_
