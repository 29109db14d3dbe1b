#include "worker/trainer/checkpoint/member_checkpoints.h"

#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "common/base/logging.h"

namespace coppice::trainer {
namespace {

MemberRows RowsIn(float* buffer, int64_t row_size) {
  if (buffer == nullptr) return {};
  return {buffer, buffer + row_size, buffer + 2 * row_size};
}

}  // namespace

MemberCheckpoints::MemberCheckpoints(const CheckpointContext* context, uint64_t seed,
                                     std::string directory, float* snapshot)
    : context_(context),
      seed_(seed),
      directory_(std::move(directory)),
      snapshot_(RowsIn(snapshot, context->layout->row_size())) {}

std::optional<CheckpointFailure> MemberCheckpoints::Snapshot(const MemberProgress& progress,
                                                             const MemberRows& rows) {
  const absl::Duration begin = context_->clock->Monotonic();
  if (std::optional<CheckpointFailure> failure = Finish()) return failure;
  const size_t bytes = sizeof(float) * static_cast<size_t>(context_->layout->row_size());
  std::memcpy(snapshot_.parameters, rows.parameters, bytes);
  std::memcpy(snapshot_.adam_m, rows.adam_m, bytes);
  std::memcpy(snapshot_.adam_v, rows.adam_v, bytes);
  {
    absl::MutexLock lock(&mutex_);
    progress_ = progress;
    stall_ = context_->clock->Monotonic() - begin;
    state_ = State::kWaiting;
  }
  context_->executor->Add([this] {
    if (!context_->stop->load(std::memory_order_relaxed)) WriteWaiting();
  });
  return std::nullopt;
}

std::optional<CheckpointFailure> MemberCheckpoints::Write(const MemberProgress& progress,
                                                          const MemberRows& rows) {
  const absl::Duration begin = context_->clock->Monotonic();
  if (std::optional<CheckpointFailure> failure = Finish()) return failure;
  std::optional<CheckpointFailure> failure =
      Save(progress, rows, context_->clock->Monotonic() - begin, /*at_once=*/true);
  absl::MutexLock lock(&mutex_);
  failure_ = failure;
  return failure;
}

std::optional<CheckpointFailure> MemberCheckpoints::Finish() {
  WriteWaiting();
  const auto none = [this]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return state_ == State::kNone; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&none));
  return failure_;
}

std::optional<CheckpointFailure> MemberCheckpoints::failure() const {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

bool MemberCheckpoints::Supersede() {
  const int64_t keep_every = context_->run->checkpoint.keep_every;
  absl::MutexLock lock(&mutex_);
  if (state_ != State::kWaiting) return false;
  if (keep_every > 0 && progress_.step % keep_every == 0) return false;
  state_ = State::kNone;
  return true;
}

void MemberCheckpoints::WriteWaiting() {
  MemberProgress progress;
  absl::Duration stall;
  {
    absl::MutexLock lock(&mutex_);
    if (state_ != State::kWaiting) return;
    state_ = State::kWriting;
    progress = progress_;
    stall = stall_;
  }
  std::optional<CheckpointFailure> failure = Save(progress, snapshot_, stall, /*at_once=*/false);
  absl::MutexLock lock(&mutex_);
  state_ = State::kNone;
  failure_ = std::move(failure);
}

std::optional<CheckpointFailure> MemberCheckpoints::Save(const MemberProgress& progress,
                                                         const MemberRows& rows,
                                                         absl::Duration stall, bool at_once) {
  try {
    return SaveOrThrow(progress, rows, stall, at_once);
  } catch (const std::bad_alloc&) {
    return CheckpointFailure{FailureKind::kOutOfMemory, "out of memory for a checkpoint"};
  } catch (const std::exception& error) {
    return CheckpointFailure{FailureKind::kInternal, error.what()};
  }
}

std::optional<CheckpointFailure> MemberCheckpoints::SaveOrThrow(const MemberProgress& progress,
                                                                const MemberRows& rows,
                                                                absl::Duration stall,
                                                                bool at_once) {
  const absl::Duration begin = context_->clock->Monotonic();
  const absl::StatusOr<SavedCheckpoint> saved =
      context_->save(directory_, *context_->run, seed_, *context_->layout, progress, rows);
  if (!saved.ok()) {
    return CheckpointFailure{FailureKind::kDisk, std::string(saved.status().message())};
  }
  const absl::Duration write = context_->clock->Monotonic() - begin;
  context_->events->Checkpoint(
      seed_, progress.step,
      {saved->path, saved->file.digest, saved->file.bytes, at_once ? stall + write : stall, write});
  if (context_->prune) {
    const absl::Status pruned = PruneCheckpoints(directory_, *context_->run, seed_);
    if (!pruned.ok()) spdlog::warn("old checkpoints stay: {}", std::string(pruned.message()));
  }
  return std::nullopt;
}

}  // namespace coppice::trainer
