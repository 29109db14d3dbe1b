#include "coordinator/service/metrics_stream.h"

#include <utility>

#include "common/rpc/status.h"
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
  const absl::Status content = CheckRecordContent(request_);
  const size_t bytes = request_.ByteSizeLong();
  absl::StatusOr<core::Record> record = RecordFromProto(&request_);
  if (!record.ok()) return record.status();
  pending_.bytes += bytes;
  if (content.ok()) {
    pending_.records.push_back(*std::move(record));
  } else {
    pending_.refused.push_back(
        {record->lease, record->sequence, false, std::string(content.message())});
  }
  return absl::OkStatus();
}

bool MetricsStream::HasRoomLocked() const {
  // Behind a refused record nothing is collected, so that acknowledgements keep the records' order.
  return pending_.refused.empty() && pending_.records.size() < kMaxPendingRecords &&
         pending_.bytes < kMaxPendingBytes && acks_.size() < kMaxPendingAcks;
}

void MetricsStream::Advance() {
  Batch batch;
  std::string worker_id;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (!stop_.has_value() && !appending_ && pending_.records.empty()) {
      AcknowledgeLocked(std::exchange(pending_, {}).refused);
    }
    const bool drained = pending_.empty() && acks_.empty();
    const bool idle = !appending_ && !writing_;
    if (idle && (stop_.has_value() || (half_closed_ && drained))) {
      finished_ = true;
      Finish(rpc::ToGrpc(stop_.value_or(absl::OkStatus())));
      return;
    }
    if (stop_.has_value()) return;
    if (!writing_ && !acks_.empty()) {
      response_ = std::move(acks_.front());
      acks_.pop_front();
      writing_ = true;
      StartWrite(&response_);
    }
    if (!appending_ && !pending_.records.empty()) {
      batch = std::exchange(pending_, {});
      worker_id = worker_id_;
      appending_ = true;
    }
    if (!reading_ && !half_closed_ && HasRoomLocked()) {
      reading_ = true;
      StartRead(&request_);
    }
  }
  if (batch.empty()) return;
  core_->Append(std::move(worker_id), std::move(batch.records),
                [self = Self<MetricsStream>(), refused = std::move(batch.refused)](
                    const absl::StatusOr<std::vector<core::RecordAck>>& acks) {
                  self->OnAppended(acks, refused);
                });
}

void MetricsStream::AcknowledgeLocked(const std::vector<core::RecordAck>& acks) {
  for (const core::RecordAck& ack : acks) ToProto(ack, &acks_.emplace_back());
}

void MetricsStream::OnAppended(const absl::StatusOr<std::vector<core::RecordAck>>& acks,
                               const std::vector<core::RecordAck>& refused) {
  {
    absl::MutexLock lock(&mutex_);
    appending_ = false;
    if (acks.ok()) {
      AcknowledgeLocked(*acks);
      AcknowledgeLocked(refused);
    } else if (!stop_.has_value()) {
      stop_ = acks.status();
    }
  }
  Advance();
}

}  // namespace coppice::service
