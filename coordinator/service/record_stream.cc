#include "coordinator/service/record_stream.h"

#include <memory>
#include <utility>

#include "coordinator/service/answer.h"
#include "coordinator/service/commit_check.h"
#include "coordinator/service/convert.h"

namespace coppice::service {

void RecordStream::Stop(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!stop_.has_value()) stop_ = std::move(status);
  }
  Advance();
}

void RecordStream::OnReadDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    if (finished_) return;
    if (!ok) {
      half_closed_ = true;
    } else if (absl::Status accepted = AcceptLocked(); !accepted.ok() && !stop_.has_value()) {
      stop_ = std::move(accepted);
    }
  }
  Advance();
}

void RecordStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !stop_.has_value()) stop_ = absl::CancelledError("the worker has gone away");
  }
  Advance();
}

absl::Status RecordStream::AcceptLocked() {
  if (worker_id_.empty() || !request_.worker_id().empty()) {
    absl::StatusOr<std::string> worker_id = WorkerIdFromProto(request_.worker_id());
    if (!worker_id.ok()) return worker_id.status();
    if (!worker_id_.empty() && *worker_id != worker_id_) {
      return absl::InvalidArgumentError("worker_id changed within a stream");
    }
    worker_id_ = *std::move(worker_id);
  }
  absl::StatusOr<std::vector<core::Record>> records = RecordsFromProto(&request_);
  if (!records.ok()) return records.status();
  queue_.Add(*std::move(records));
  return absl::OkStatus();
}

bool RecordStream::HasRoomLocked() const {
  return queue_.size() < kMaxPendingRecords && queue_.bytes() < kMaxPendingBytes &&
         answers_.size() < kMaxPendingAnswers && (queue_.empty() || budget_->HasRoom());
}

void RecordStream::Advance() {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    work = AdvanceLocked();
  }
  for (RecordQueue::Check& check : work.checks) StartCheck(work.worker_id, std::move(check));
  if (work.batch.empty()) return;
  context_.core->Append(
      std::move(work.worker_id), std::move(work.batch),
      [self = Self<RecordStream>()](absl::StatusOr<std::vector<core::AttemptAnswer>> answers) {
        self->OnAppended(std::move(answers));
      });
}

RecordStream::Work RecordStream::AdvanceLocked() {
  const bool drained = queue_.empty() && answers_.empty();
  const bool idle = !appending_ && !writing_;
  if (idle && (stop_.has_value() || (half_closed_ && drained))) {
    finished_ = true;
    Finish(Outcome(stop_.value_or(absl::OkStatus())));
    return {};
  }
  if (stop_.has_value()) return {};
  if (!writing_ && !answers_.empty()) {
    response_ = std::move(answers_.front());
    answers_.pop_front();
    writing_ = true;
    StartWrite(&response_);
  }
  Work work;
  work.checks = queue_.TakeChecks();
  if (!appending_ && queue_.has_batch()) {
    work.batch = queue_.TakeBatch();
    appending_ = true;
  }
  if (!work.checks.empty() || !work.batch.empty()) work.worker_id = worker_id_;
  if (!reading_ && !half_closed_ && HasRoomLocked()) {
    reading_ = true;
    StartRead(&request_);
  }
  return work;
}

void RecordStream::StartCheck(const std::string& worker_id, RecordQueue::Check check) {
  core::NamedCheckpoint named{worker_id,
                              check.lease,
                              check.checkpoint.step,
                              std::move(check.checkpoint.path),
                              std::move(check.checkpoint.digest),
                              check.checkpoint.bytes};
  const std::weak_ptr<LiveStream> stream = weak_from_this();
  CheckCommittedFile(context_, std::move(named), stream,
                     [stream, lease = check.lease, id = check.id](std::string left_out) {
                       const auto self = std::static_pointer_cast<RecordStream>(stream.lock());
                       if (self == nullptr) return;
                       {
                         absl::MutexLock lock(&self->mutex_);
                         self->queue_.Checked(lease, id, std::move(left_out));
                       }
                       self->Advance();
                     });
}

void RecordStream::OnAppended(absl::StatusOr<std::vector<core::AttemptAnswer>> answers) {
  {
    absl::MutexLock lock(&mutex_);
    appending_ = false;
    if (answers.ok()) {
      v1::StreamRecordsResponse& response = answers_.emplace_back();
      for (core::AttemptAnswer& answer : *answers) {
        queue_.Answered(answer);
        ToProto(std::move(answer), response.add_answers());
      }
    } else if (!stop_.has_value()) {
      stop_ = answers.status();
    }
  }
  Advance();
}

}  // namespace coppice::service
