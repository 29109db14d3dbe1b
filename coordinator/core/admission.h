#ifndef COPPICE_COORDINATOR_CORE_ADMISSION_H_
#define COPPICE_COORDINATOR_CORE_ADMISSION_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace coppice::core {

// Purpose: how much work may be begun while the coordinator and its workers do not keep up with
// what was begun. That is seen by the heartbeats, also where nothing of ours can be seen to wait: a
// worker sends the next one an interval after the last was answered, so what it comes later has
// been spent in queues, here, on the way or there. While most come late, half as many leases begin
// as end, and kFewestPerSecond besides (work that has just begun may be long). Owner: the writer
// thread, the only one to touch it.
class Admission {
 public:
  static constexpr size_t kNoLimit = SIZE_MAX;
  static constexpr int64_t kFewestPerSecond = 256;

  explicit Admission(absl::Duration heartbeat_interval);

  // A heartbeat came, that much later than its worker's interval after the one before.
  void NoteHeartbeat(absl::Duration late_by);
  // Of the last 32 or so heartbeats most came late.
  bool behind() const { return late_share_ > 0.5; }

  // How many leases may begin now; `granted` and `ended`: how many ever did.
  size_t Room(absl::Duration now, uint64_t granted, uint64_t ended);

 private:
  const absl::Duration late_;  // a heartbeat is when it comes by more than that too late
  double late_share_ = 0;      // a moving average
  // Of the time since most are late; what is counted from there.
  bool limited_ = false;
  absl::Duration since_ = absl::ZeroDuration();
  uint64_t granted_before_ = 0;
  uint64_t ended_before_ = 0;
};

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_ADMISSION_H_
