#include "tests/simulation/faults.h"

namespace coppice::simulation {

absl::string_view NameOf(Fault fault) {
  switch (fault) {
    case Fault::kRequestLost:
      return "request lost";
    case Fault::kAnswerLost:
      return "request executed, answer lost";
    case Fault::kDuplicated:
      return "request executed twice";
    case Fault::kDelayed:
      return "message late, overtaken by others";
    case Fault::kStreamBroken:
      return "record stream broken";
    case Fault::kPartition:
      return "worker cut off";
    case Fault::kPartitionPastLease:
      return "worker cut off for longer than its lease";
    case Fault::kCoordinatorCrash:
      return "coordinator killed";
    case Fault::kCrashBeforeCommit:
      return "coordinator killed before a commit";
    case Fault::kCrashAfterCommit:
      return "coordinator killed after a commit, before the answers";
    case Fault::kCoordinatorRestart:
      return "coordinator stopped and started";
    case Fault::kCommitFailed:
      return "commit failed by an I/O error";
    case Fault::kDatabaseFull:
      return "commit failed, the database disk was full";
    case Fault::kWorkerCrash:
      return "worker daemon killed";
    case Fault::kWorkerStopped:
      return "worker daemon stopped by SIGTERM";
    case Fault::kMachineLost:
      return "machine lost with its disk";
    case Fault::kSpoolTorn:
      return "spool torn by a crash in mid-write";
    case Fault::kTwins:
      return "worker started twice under one name";
    case Fault::kSuperseded:
      return "of two workers of one name the older ended";
    case Fault::kGoodbye:
      return "worker said goodbye";
    case Fault::kWorkerDiskFull:
      return "worker's write refused, its disk was full";
    case Fault::kTrainerCrash:
      return "trainer crashed";
    case Fault::kTrainerCrashInCheckpoint:
      return "trainer crashed while it wrote a checkpoint";
    case Fault::kTrainerOutOfMemory:
      return "trainer out of memory";
    case Fault::kTrainerHang:
      return "trainer hung, deaf to SIGTERM";
    case Fault::kTrainerStalled:
      return "trainer hung for longer than its limit";
    case Fault::kTrainerGarbage:
      return "trainer printed garbage";
    case Fault::kTrainerNotStarted:
      return "trainer could not be started";
    case Fault::kDiverged:
      return "loss not finite";
    case Fault::kCheckpointDiskFull:
      return "checkpoint not written, the disk was full";
    case Fault::kCheckpointDamaged:
      return "committed checkpoint damaged or gone";
    case Fault::kWallClockJump:
      return "wall clock set";
    case Fault::kMonotonicJump:
      return "process frozen, its time leapt";
    case Fault::kPaused:
      return "sweep paused";
    case Fault::kCancelled:
      return "job cancelled";
    case Fault::kRetried:
      return "jobs retried";
    case Fault::kDrained:
      return "worker drained";
    case Fault::kDrainedPreempting:
      return "worker drained, its jobs preempted";
    case Fault::kRequeued:
      return "started again elsewhere, its machine cut off";
    case Fault::kExtended:
      return "sweep extended";
    case Fault::kCount:
      break;
  }
  return "";
}

}  // namespace coppice::simulation
