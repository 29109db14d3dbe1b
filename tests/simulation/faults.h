// The faults that a schedule injects, with counts.
#ifndef COPPICE_TESTS_SIMULATION_FAULTS_H_
#define COPPICE_TESTS_SIMULATION_FAULTS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace coppice::simulation {

enum class Fault {
  kRequestLost,
  kAnswerLost,
  kDuplicated,
  kDelayed,
  kStreamBroken,
  kPartition,
  kPartitionPastLease,
  kCoordinatorCrash,
  kCrashBeforeCommit,
  kCrashAfterCommit,
  kCoordinatorRestart,
  kCommitFailed,
  kDatabaseFull,
  kWorkerCrash,
  kWorkerStopped,
  kMachineLost,
  kSpoolTorn,
  kTwins,
  kSuperseded,
  kGoodbye,
  kWorkerDiskFull,
  kTrainerCrash,
  kTrainerCrashInCheckpoint,
  kTrainerOutOfMemory,
  kTrainerHang,
  kTrainerStalled,
  kTrainerGarbage,
  kTrainerNotStarted,
  kDiverged,
  kCheckpointDiskFull,
  kCheckpointDamaged,
  kWallClockJump,
  kMonotonicJump,
  kPaused,
  kCancelled,
  kRetried,
  kDrained,
  kDrainedPreempting,
  kRequeued,
  kExtended,
  kCount,
};

// Returns the name of a fault for tables.
absl::string_view NameOf(Fault fault);

// Counts each fault, and the schedules in which it occurred. A fault is counted when it happens,
// not when it is drawn.
struct FaultCounts {
  static constexpr size_t kKinds = static_cast<size_t>(Fault::kCount);
  std::array<uint64_t, kKinds> times{};
  std::array<uint64_t, kKinds> schedules{};

  void Add(const FaultCounts& one) {
    for (size_t i = 0; i < kKinds; ++i) {
      times[i] += one.times[i];
      schedules[i] += one.times[i] > 0 ? 1 : 0;
    }
  }
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_FAULTS_H_
