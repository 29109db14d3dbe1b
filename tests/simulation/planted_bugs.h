// Bugs that a schedule can be run with, to show that the simulation finds them. Each is planted
// from outside, at a seam: in what decorates the store, or in the worker's client.
#ifndef COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_
#define COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_

namespace coppice::simulation {

enum class PlantedBug {
  kNone,
  // A row of an attempt that is over is stored and acknowledged.
  kStaleAttemptAccepted,
  // Answers go out although the commit then fails, or the coordinator dies before it.
  kAcknowledgedBeforeCommit,
  // A grant leaves the rows past the checkpoint visible.
  kArchiveForgotten,
  // A lease that a worker gave back counts as a failure of the job.
  kPreemptionCharged,
  // A worker takes what it has sent for acknowledged.
  kSpoolDroppedBeforeAck,
  // The same, and the coordinator commits a checkpoint whose rows it does not have.
  kCheckpointWithoutRows,
  // Retention removes the file of the current checkpoint.
  kCurrentCheckpointRemoved,
  // A worker whose name was taken registers again as if it were a new process.
  kSupersededReturns,
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_
