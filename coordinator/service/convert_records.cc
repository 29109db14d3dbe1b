// Conversion of the records of attempts, and of the answers to them.
#include <optional>
#include <utility>

#include "common/base/digest.h"
#include "common/base/failure_kind.h"
#include "common/base/limits.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

using Content = absl::StatusOr<core::RecordContent>;

core::MetricRow FromProto(v1::MetricRow* row) {
  core::MetricRow out;
  out.step = row->step();
  out.values.reserve(row->values_size());
  for (v1::MetricValue& value : *row->mutable_values()) {
    out.values.push_back({std::move(*value.mutable_name()), value.value()});
  }
  return out;
}

absl::StatusOr<core::CheckpointRecord> FromProto(const v1::CheckpointRecord& checkpoint) {
  COPPICE_RETURN_IF_ERROR(CheckPath(checkpoint.path()));
  if (!IsDigest(checkpoint.digest())) return Bad("digest", "is not 32 lower-case hex digits");
  if (checkpoint.bytes() == 0) return Bad("bytes", "is missing");
  COPPICE_RETURN_IF_ERROR(CheckRange("bytes", checkpoint.bytes(), 1, kMaxStored));
  COPPICE_RETURN_IF_ERROR(CheckText("withdrawn", checkpoint.withdrawn(), kMaxMessageTextBytes));
  return core::CheckpointRecord{checkpoint.step(), checkpoint.path(), checkpoint.digest(),
                                checkpoint.bytes(), checkpoint.withdrawn()};
}

absl::StatusOr<core::Failure> FromProto(v1::Failure* failure) {
  const std::optional<FailureKind> kind = FailureKindFromText(failure->kind());
  if (!kind.has_value()) return Bad("kind", "names no kind of failure");
  COPPICE_RETURN_IF_ERROR(CheckText("message", failure->message(), kMaxMessageTextBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("log_tail", failure->log_tail(), kMaxLogTailBytes));
  return core::Failure{failure->step(), *kind, std::move(*failure->mutable_message()),
                       std::move(*failure->mutable_log_tail())};
}

absl::StatusOr<core::Release::Cause> CauseFromProto(const v1::Release& release) {
  switch (release.cause_case()) {
    case v1::Release::kPreempted:
      return core::Release::Preempted{};
    case v1::Release::kUntrained:
      return core::Release::Untrained{};
    case v1::Release::kLost:
      return core::Release::Lost{};
    case v1::Release::kTooWide:
      COPPICE_RETURN_IF_ERROR(
          CheckRange("too_wide.width", release.too_wide().width(), 1, kMaxPackWidth));
      return core::Release::TooWide{release.too_wide().width()};
    case v1::Release::kMeasured:
      COPPICE_RETURN_IF_ERROR(
          CheckRange("measured.width", release.measured().width(), 1, kMaxPackWidth));
      return core::Release::Measured{release.measured().width()};
    case v1::Release::CAUSE_NOT_SET:
      break;
  }
  return Bad("cause", "is missing");
}

absl::StatusOr<core::Release> FromProto(v1::Release* release) {
  COPPICE_RETURN_IF_ERROR(CheckText("reason", release->reason(), kMaxMessageTextBytes));
  core::Release out;
  COPPICE_ASSIGN_OR_RETURN(out.cause, CauseFromProto(*release));
  out.step = release->step();
  out.reason = std::move(*release->mutable_reason());
  return out;
}

// Moves the content out. The core checks rows and texts against its own limits.
Content ContentFromProto(v1::AttemptRecord* record) {
  switch (record->content_case()) {
    case v1::AttemptRecord::kRow:
      return FromProto(record->mutable_row());
    case v1::AttemptRecord::kLog:
      return core::LogText{std::move(*record->mutable_log())};
    case v1::AttemptRecord::kStart:
      return core::TrainerStart{std::move(*record->mutable_start()->mutable_provenance()),
                                record->start().step()};
    case v1::AttemptRecord::kCheckpoint:
      return FromProto(record->checkpoint());
    case v1::AttemptRecord::kCompleted:
      return core::Completion{record->completed().step()};
    case v1::AttemptRecord::kFailed:
      return FromProto(record->mutable_failed());
    case v1::AttemptRecord::kReleased:
      return FromProto(record->mutable_released());
    case v1::AttemptRecord::CONTENT_NOT_SET:
      break;
  }
  return Bad("content", "is missing");
}

}  // namespace

absl::StatusOr<std::vector<core::Record>> RecordsFromProto(v1::StreamRecordsRequest* request) {
  COPPICE_RETURN_IF_ERROR(CheckCount("records", request->records_size(), kMaxRecordsInMessage));
  const size_t bytes = request->ByteSizeLong();
  if (bytes > kMaxRecordMessageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", bytes, " bytes; at most ", kMaxRecordMessageBytes));
  }
  std::vector<core::Record> records;
  records.reserve(request->records_size());
  for (v1::AttemptRecord& record : *request->mutable_records()) {
    core::Record& out = records.emplace_back();
    COPPICE_ASSIGN_OR_RETURN(out.lease, LeaseFromProto(record.lease()));
    if (record.number() == 0) return Bad("number", "is missing; records are numbered from 1");
    COPPICE_RETURN_IF_ERROR(CheckRange("number", record.number(), 1, kMaxRecordNumber));
    out.number = record.number();
    Content content = ContentFromProto(&record);
    if (content.ok()) {
      out.content = *std::move(content);
    } else {
      out.content = core::Malformed{std::string(content.status().message())};
    }
  }
  return records;
}

absl::StatusOr<core::NamedCheckpoint> UploadFromProto(const v1::CheckpointUpload& upload) {
  core::NamedCheckpoint out;
  COPPICE_ASSIGN_OR_RETURN(out.worker_id, WorkerIdFromProto(upload.worker_id()));
  COPPICE_ASSIGN_OR_RETURN(out.lease, LeaseFromProto(upload.lease()));
  COPPICE_ASSIGN_OR_RETURN(core::CheckpointRecord checkpoint, FromProto(upload.checkpoint()));
  out.step = checkpoint.step;
  out.path = std::move(checkpoint.path);
  out.digest = std::move(checkpoint.digest);
  out.bytes = checkpoint.bytes;
  return out;
}

void ToProto(core::AttemptAnswer answer, v1::AttemptAnswer* out) {
  ToProto(answer.lease, out->mutable_lease());
  out->set_number(answer.number);
  out->set_over(answer.over);
  if (!answer.refusal.ok()) {
    out->mutable_refusal()->set_code(static_cast<uint32_t>(answer.refusal.code()));
    out->mutable_refusal()->set_message(std::string(answer.refusal.message()));
  }
  for (core::Omission& omission : answer.omissions) {
    v1::Omission* added = out->add_omissions();
    added->set_number(omission.number);
    added->set_reason(std::move(omission.reason));
  }
}

}  // namespace coppice::service
