#include "worker/daemon/attempt_reporter.h"

#include <utility>

#include "common/base/files.h"
#include "worker/daemon/attempt_records.h"
#include "worker/daemon/checkpoint_place.h"

namespace coppice::worker {

AttemptReporter::AttemptReporter(const Environment* environment, Session* session,
                                 const Outbox::Place& place, v1::Lease lease, Hooks hooks)
    : lease_(std::move(lease)),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      ending_(key(), lease_.resume().step(), EndingHooks(environment, place.checkpoints)),
      outbox_(environment, session, place, lease_, OutboxHooks()) {}

AttemptReporter::AttemptReporter(const Environment* environment, Session* session,
                                 const Outbox::Place& place, SpoolContents contents, Hooks hooks)
    : lease_(contents.lease),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      ending_(key(), lease_.resume().step(), EndingHooks(environment, place.checkpoints)),
      outbox_(environment, session, place, TakeUp(std::move(contents)), OutboxHooks()) {}

SpoolContents AttemptReporter::TakeUp(SpoolContents contents) {
  for (const v1::AttemptRecord& record : contents.records) {
    if (record.has_checkpoint()) ending_.OnCheckpoint(record.checkpoint());
    if (IsEnding(record)) ending_.OnEndingFound();
  }
  return contents;
}

Outbox::Hooks AttemptReporter::OutboxHooks() {
  Outbox::Hooks hooks;
  hooks.on_sendable = hooks_.on_sendable;
  hooks.on_ending_taken = [this] { ending_.OnEndingTaken(); };
  hooks.on_over = [this](const std::string& reason) { ending_.OnOver(reason); };
  hooks.on_refused = [this](const v1::AttemptRecord& record, const absl::Status& status) {
    ending_.OnRefused(record, status);
  };
  return hooks;
}

AttemptEnding::Hooks AttemptReporter::EndingHooks(const Environment* environment,
                                                  const CheckpointPlace& checkpoints) {
  AttemptEnding::Hooks hooks;
  hooks.report = [this](v1::AttemptRecord ending) { outbox_.Add(std::move(ending)); };
  hooks.verify = [this, environment, checkpoints](const AttemptEnding::File& file,
                                                  std::function<void(absl::Status)> done) {
    environment->background([checkpoints, file, done = callbacks_.Bind(std::move(done))] {
      done(VerifyCheckpoint(checkpoints, file.path, file.digest));
    });
  };
  hooks.path_of = [root = checkpoints.root](const v1::CheckpointRecord& checkpoint) {
    return JoinPath(root, checkpoint.path());
  };
  hooks.on_refused = hooks_.on_refused;
  hooks.on_lost = hooks_.on_lost;
  hooks.on_final = [this] { outbox_.Close([this] { hooks_.on_finished(); }); };
  return hooks;
}

void AttemptReporter::SetProgress(uint32_t step, double steps_per_second) {
  ending_.OnStep(step);
  steps_per_second_ = steps_per_second;
}

v1::HeldLease AttemptReporter::Held() const {
  v1::HeldLease held;
  *held.mutable_lease() = lease_.lease();
  held.set_step(ending_.step());
  held.set_steps_per_second(ended() ? 0 : steps_per_second_);
  held.set_slot(slot_);
  return held;
}

void AttemptReporter::Start(absl::string_view provenance, uint32_t step) {
  if (!ended()) outbox_.Add(StartRecord(provenance, step));
}

void AttemptReporter::Row(v1::MetricRow row) {
  if (!ended()) outbox_.Add(RowRecord(std::move(row)));
}

void AttemptReporter::Log(absl::string_view text) {
  if (ended()) return;
  for (v1::AttemptRecord& record : LogRecords(text)) outbox_.Add(std::move(record));
}

void AttemptReporter::Checkpoint(uint32_t step, const std::string& path, const std::string& digest,
                                 uint64_t bytes) {
  if (ended()) return;
  v1::CheckpointRecord checkpoint;
  checkpoint.set_step(step);
  checkpoint.set_path(path);
  checkpoint.set_digest(digest);
  checkpoint.set_bytes(bytes);
  ending_.OnCheckpoint(checkpoint);
  outbox_.Add(CheckpointRecordOf(std::move(checkpoint)));
}

void AttemptReporter::ReleasePreempted(absl::string_view reason) {
  v1::Release cause;
  cause.mutable_preempted();
  ending_.Release(reason, std::move(cause));
}

void AttemptReporter::ReleaseUntrained(absl::string_view reason) {
  v1::Release cause;
  cause.mutable_untrained();
  ending_.Release(reason, std::move(cause));
}

void AttemptReporter::ReleaseLost(absl::string_view reason) {
  v1::Release cause;
  cause.mutable_lost();
  ending_.Release(reason, std::move(cause));
}

void AttemptReporter::ReleaseTooWide(absl::string_view reason, uint32_t width) {
  v1::Release cause;
  cause.mutable_too_wide()->set_width(width);
  ending_.Release(reason, std::move(cause));
}

void AttemptReporter::ReleaseMeasured(absl::string_view reason, uint32_t width) {
  v1::Release cause;
  cause.mutable_measured()->set_width(width);
  ending_.Release(reason, std::move(cause));
}

}  // namespace coppice::worker
