#ifndef COPPICE_WORKER_DAEMON_ATTEMPT_ENDING_H_
#define COPPICE_WORKER_DAEMON_ATTEMPT_ENDING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/failure_kind.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/lease_key.h"

namespace coppice::worker {

// Purpose: decides which end of an attempt is reported, and when it may be replaced.
// Owner: an AttemptReporter. It lives on the agent's sequence. It does no work itself: the hooks
// report and read files.
//
//   state      event                                        next state
//   open       Complete, Fail, Release                      ending
//   open       FailUnlessDamaged                            verifying
//   open       any record is refused                        ending: a failure
//   verifying  the file is intact                           ending: a failure
//   verifying  the file is damaged or gone                  ending: a release as lost
//   verifying  any record is refused                        ending: a failure
//   ending     the completion lacks a row or a checkpoint   verifying: the last checkpoint's file
//   ending     any other record is refused                  ending: a failure
//   ending     a failure or a release is refused            ended: no weaker end exists
//   ending     the ending is taken                          ended
//   open, verifying, ending: the lease is over, Abandon     lost
//
// A refused completion is any other record if no checkpoint of its step was reported. Every event
// that is not in the table is ignored. The last two states are final.
class AttemptEnding {
 public:
  enum class State { kOpen, kVerifying, kEnding, kEnded, kLost };
  struct File {
    std::string path;
    std::string digest;
  };
  struct Hooks {
    // Reports an ending. It follows every record that was reported and not refused.
    std::function<void(v1::AttemptRecord)> report;
    // Checks a checkpoint file and calls `done`, later, with the codes of VerifyCheckpoint.
    std::function<void(const File&, std::function<void(absl::Status)> done)> verify;
    // The path of a checkpoint's file on this machine.
    std::function<std::string(const v1::CheckpointRecord&)> path_of;
    // The coordinator has refused a record for good, so the attempt cannot succeed.
    std::function<void(const std::string& reason)> on_refused;
    // The worker has lost the lease.
    std::function<void(const std::string& reason)> on_lost;
    // The state is final. Called last.
    std::function<void()> on_final;
  };

  // `start`: the step at which the attempt starts.
  AttemptEnding(LeaseKey key, uint32_t start, Hooks hooks)
      : key_(key), hooks_(std::move(hooks)), step_(start), checkpoint_step_(start) {}
  AttemptEnding(const AttemptEnding&) = delete;
  AttemptEnding& operator=(const AttemptEnding&) = delete;

  State state() const { return state_; }
  bool open() const { return state_ == State::kOpen; }
  bool final() const { return state_ == State::kEnded || state_ == State::kLost; }
  // The greatest step known, and the step of the last reported checkpoint or of the start.
  uint32_t step() const { return step_; }
  uint32_t checkpoint_step() const { return checkpoint_step_; }

  // The attempt starts at another step: the coordinator fell back to an earlier checkpoint.
  void OnStart(uint32_t step) { step_ = checkpoint_step_ = step; }
  void OnStep(uint32_t step);
  void OnCheckpoint(const v1::CheckpointRecord& checkpoint);
  // An earlier process has reported this ending. Only before any other event.
  void OnEndingFound() { state_ = State::kEnding; }

  void Complete(uint32_t step);
  void Fail(uint32_t step, FailureKind kind, absl::string_view message, absl::string_view log_tail);
  // `cause`: a Release in which only the cause is set. The step is that of the last checkpoint.
  void Release(absl::string_view reason, v1::Release cause);
  // The trainer could not read `file`, from which it was to resume. If the file was damaged after
  // its check, the job is not at fault: the lease is released as lost, and the next worker rejects
  // the checkpoint. Otherwise the attempt has failed.
  void FailUnlessDamaged(const File& file, uint32_t step, absl::string_view message,
                         absl::string_view log_tail);

  // The coordinator cannot take `record`. It and all after it are dropped.
  void OnRefused(const v1::AttemptRecord& record, const absl::Status& status);
  void OnEndingTaken();
  // Something else has ended the attempt.
  void OnOver(const std::string& reason);
  // As OnOver, but the caller knows: `on_lost` is not called.
  void Abandon();

 private:
  void Report(v1::AttemptRecord ending);
  // Reports `if_intact`, or a release as lost if the file is not intact any more.
  void Verify(const File& file, v1::AttemptRecord if_intact, const std::string& if_damaged,
              std::function<void()> on_intact);
  void Finish(State state);

  const LeaseKey key_;
  const Hooks hooks_;
  State state_ = State::kOpen;
  uint32_t step_;
  uint32_t checkpoint_step_;
  std::optional<v1::CheckpointRecord> last_checkpoint_;
  uint64_t verification_ = 0;  // an earlier one's result is void
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ATTEMPT_ENDING_H_
