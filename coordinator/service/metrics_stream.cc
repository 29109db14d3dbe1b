#include "coordinator/service/metrics_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/convert.h"

namespace coppice::service {

void MetricsStream::Stop(absl::Status status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!stop_.has_value()) stop_ = std::move(status);
  }
  Advance();
}

void MetricsStream::OnReadDone(bool ok) {
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

void MetricsStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !stop_.has_value()) stop_ = absl::CancelledError("the worker has gone away");
  }
  Advance();
}

absl::Status MetricsStream::AcceptLocked() {
  if (worker_id_.empty() || !request_.worker_id().empty()) {
    absl::StatusOr<std::string> worker_id = WorkerIdFromProto(request_.worker_id());
    if (!worker_id.ok()) return worker_id.status();
    if (!worker_id_.empty() && *worker_id != worker_id_) {
      return absl::InvalidArgumentError("worker_id changed within a stream");
    }
    worker_id_ = *std::move(worker_id);
  }
  const size_t bytes = request_.ByteSizeLong();
  if (bytes > kMaxReportMessageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a report of ", bytes, " bytes; at most ", kMaxReportMessageBytes));
  }
  absl::StatusOr<core::Record> record = RecordFromProto(&request_);
  if (!record.ok()) return record.status();
  pending_.push_back(*std::move(record));
  pending_bytes_ += bytes;
  budget_->Take(bytes);
  return absl::OkStatus();
}

bool MetricsStream::HasRoomLocked() const {
  return pending_.size() < kMaxPendingRecords && pending_bytes_ < kMaxPendingBytes &&
         acks_.size() < kMaxPendingAcks && (pending_.empty() || budget_->HasRoom());
}

void MetricsStream::Advance() {
  std::vector<core::Record> batch;
  std::string worker_id;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    const bool drained = pending_.empty() && acks_.empty();
    const bool idle = !appending_ && !writing_;
    if (idle && (stop_.has_value() || (half_closed_ && drained))) {
      finished_ = true;
      Finish(Outcome(stop_.value_or(absl::OkStatus())));
      return;
    }
    if (stop_.has_value()) return;
    if (!writing_ && !acks_.empty()) {
      response_ = std::move(acks_.front());
      acks_.pop_front();
      writing_ = true;
      StartWrite(&response_);
    }
    if (!appending_ && !pending_.empty()) {
      batch = std::exchange(pending_, {});
      budget_->GiveBack(std::exchange(pending_bytes_, 0));
      worker_id = worker_id_;
      appending_ = true;
    }
    if (!reading_ && !half_closed_ && HasRoomLocked()) {
      reading_ = true;
      StartRead(&request_);
    }
  }
  if (batch.empty()) return;
  core_->Append(
      std::move(worker_id), std::move(batch),
      [self = Self<MetricsStream>()](const absl::StatusOr<std::vector<core::RecordAck>>& acks) {
        self->OnAppended(acks);
      });
}

void MetricsStream::OnAppended(const absl::StatusOr<std::vector<core::RecordAck>>& acks) {
  {
    absl::MutexLock lock(&mutex_);
    appending_ = false;
    if (acks.ok()) {
      for (const core::RecordAck& ack : *acks) ToProto(ack, &acks_.emplace_back());
    } else if (!stop_.has_value()) {
      stop_ = acks.status();
    }
  }
  Advance();
}

}  // namespace coppice::service
