// Bugs that show that the simulation finds them. Each is planted from outside, at a seam: in the
// store's decorators, or in the worker's client.
#ifndef COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_
#define COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_

namespace coppice::simulation {

enum class PlantedBug {
  kNone,
  // A row of an attempt that is over is stored and acknowledged.
  kStaleAttemptAccepted,
  // Answers are sent before the commit, which then fails or does not happen because the coordinator
  // dies.
  kAcknowledgedBeforeCommit,
  // A grant leaves the rows beyond the checkpoint visible.
  kArchiveForgotten,
  // A lease that a worker released counts as a failure of the job.
  kPreemptionCharged,
  // A worker treats sent records as acknowledged.
  kSpoolDroppedBeforeAck,
  // A worker sends something else in place of rows, and the coordinator commits a checkpoint
  // without its rows.
  kCheckpointWithoutRows,
  // A worker takes the loss of a stream for the answer to what it has sent.
  kLostAnswerTakenForAnswer,
  // The ending of an attempt is sent ahead of a row.
  kEndingOvertakesRows,
  // Retention removes the file of the current checkpoint.
  kCurrentCheckpointRemoved,
  // A worker whose name was taken registers again as if it were a new process.
  kSupersededReturns,
  // The coordinator does not know which of two processes is the newer one: whoever registers has
  // the name.
  kAnyRegistrationTakesTheName,
  // A worker that only drains says goodbye, and lives on.
  kGoodbyeOfTheLiving,
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_PLANTED_BUGS_H_
