#ifndef COPPICE_COORDINATOR_CORE_DISPATCH_ADMISSION_H_
#define COPPICE_COORDINATOR_CORE_DISPATCH_ADMISSION_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace coppice::core {

// Purpose: limits how many leases begin while the coordinator and its workers fall behind.
// Heartbeats show this even when no queue of the coordinator is long. A worker sends its next
// heartbeat one interval after the answer to the last one, so a late heartbeat has waited in queues
// on the way or at either end. While most heartbeats are late, one lease may begin for every two
// that end, and kFewestPerSecond more each second, because new leases may be long. Owner: the
// writer thread; no other thread touches it.
class Admission {
 public:
  static constexpr size_t kNoLimit = SIZE_MAX;
  static constexpr int64_t kFewestPerSecond = 256;

  explicit Admission(absl::Duration heartbeat_interval);

  // Counts a heartbeat that came `late_by` later than its worker's interval allows.
  void NoteHeartbeat(absl::Duration late_by);
  // True when most of about the last 32 heartbeats came late.
  bool behind() const { return late_share_ > 0.5; }

  // Returns the number of leases that may begin now. `granted` and `ended` are totals since the
  // start.
  size_t Room(absl::Duration now, uint64_t granted, uint64_t ended);

 private:
  const absl::Duration late_;  // a heartbeat counts as late beyond this delay
  double late_share_ = 0;      // a moving average
  // State since most heartbeats have been late. The counts are baselines from that moment.
  bool limited_ = false;
  absl::Duration since_ = absl::ZeroDuration();
  uint64_t granted_before_ = 0;
  uint64_t ended_before_ = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_DISPATCH_ADMISSION_H_
