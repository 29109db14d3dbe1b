#ifndef COPPICE_WORKER_DAEMON_ATTEMPT_REPORTER_H_
#define COPPICE_WORKER_DAEMON_ATTEMPT_REPORTER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/failure_kind.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/attempt_ending.h"
#include "worker/daemon/outbox.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"

namespace coppice::worker {

// Purpose: reports everything of one attempt. It makes records of the trainer's reports, and
// connects the Outbox, which delivers them, with the AttemptEnding, which decides how the attempt
// ends.
// Owner: the Agent, which shares it with the PackRun that feeds it.
// Threads: it lives on the agent's sequence.
class AttemptReporter {
 public:
  struct Hooks {
    // There may be something new for the stream.
    std::function<void()> on_sendable;
    // The worker has lost the lease. Records that are not durable are dropped. `on_finished`
    // follows.
    std::function<void(const std::string& reason)> on_lost;
    // The coordinator has refused a record for good, so the attempt cannot succeed.
    std::function<void(const std::string& reason)> on_refused;
    // Nothing is left to report. Called last.
    std::function<void()> on_finished;
  };

  AttemptReporter(const Environment* environment, Session* session, const Outbox::Place& place,
                  v1::Lease lease, Hooks hooks);
  // Takes up the records that an earlier process left in a spool file.
  AttemptReporter(const Environment* environment, Session* session, const Outbox::Place& place,
                  SpoolContents contents, Hooks hooks);
  AttemptReporter(const AttemptReporter&) = delete;
  AttemptReporter& operator=(const AttemptReporter&) = delete;

  const v1::Lease& lease() const { return lease_; }
  LeaseKey key() const { return KeyOf(lease_.lease()); }
  Outbox* outbox() { return &outbox_; }
  // No more reports are taken: the end is reported, or the lease is lost.
  bool ended() const { return !ending_.open(); }
  bool finished() const { return ending_.final(); }

  // The attempt starts at this step, whatever its lease says. Before Start.
  void SetStart(uint32_t step) { ending_.OnStart(step); }
  // For heartbeats.
  void SetProgress(uint32_t step, double steps_per_second);
  v1::HeldLease Held() const;
  void set_slot(uint32_t slot) { slot_ = slot; }

  // After the end, these calls are ignored.
  void Start(absl::string_view provenance, uint32_t step);
  void Row(v1::MetricRow row);
  void Log(absl::string_view text);
  void Checkpoint(uint32_t step, const std::string& path, const std::string& digest,
                  uint64_t bytes);
  void Complete(uint32_t step) { ending_.Complete(step); }
  void Fail(uint32_t step, FailureKind kind, absl::string_view message,
            absl::string_view log_tail) {
    ending_.Fail(step, kind, message, log_tail);
  }
  void FailUnlessDamaged(const AttemptEnding::File& file, uint32_t step, absl::string_view message,
                         absl::string_view log_tail) {
    ending_.FailUnlessDamaged(file, step, message, log_tail);
  }
  // The training was ended for another reason than a failure.
  void ReleasePreempted(absl::string_view reason);
  // The lease ends before a trainer was started, so it does not count as an attempt.
  void ReleaseUntrained(absl::string_view reason);
  // The process that held the lease has exited without a last checkpoint.
  void ReleaseLost(absl::string_view reason);
  // A pack of `width` did not fit into the device's memory.
  void ReleaseTooWide(absl::string_view reason, uint32_t width);
  // The lease is released so that the next grants have packs of `width`.
  void ReleaseMeasured(absl::string_view reason, uint32_t width);
  // Drops everything, because the worker has lost the lease. `on_lost` is not called.
  void Abandon() { ending_.Abandon(); }

 private:
  // Shows the ending what an earlier process has reported.
  SpoolContents TakeUp(SpoolContents contents);
  Outbox::Hooks OutboxHooks();
  AttemptEnding::Hooks EndingHooks(const Environment* environment,
                                   const CheckpointPlace& checkpoints);

  const v1::Lease lease_;
  const Hooks hooks_;
  CallbackOwner callbacks_;
  AttemptEnding ending_;
  Outbox outbox_;
  uint32_t slot_ = 0;
  double steps_per_second_ = 0;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ATTEMPT_REPORTER_H_
