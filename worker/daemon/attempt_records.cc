#include "worker/daemon/attempt_records.h"

#include <utility>

#include "common/base/limits.h"
#include "common/base/utf8.h"

namespace coppice::worker {

v1::AttemptRecord RowRecord(v1::MetricRow row) {
  v1::AttemptRecord record;
  *record.mutable_row() = std::move(row);
  return record;
}

std::vector<v1::AttemptRecord> LogRecords(absl::string_view text) {
  std::vector<v1::AttemptRecord> records;
  const std::string valid = ToValidUtf8(text);
  for (absl::string_view rest = valid; !rest.empty();) {
    absl::string_view piece = rest.substr(0, kMaxRecordTextBytes);
    if (piece.size() < rest.size()) piece.remove_suffix(IncompleteUtf8Tail(piece));
    rest.remove_prefix(piece.size());
    records.emplace_back().set_log(std::string(piece));
  }
  return records;
}

v1::AttemptRecord StartRecord(absl::string_view provenance, uint32_t step) {
  v1::AttemptRecord record;
  record.mutable_start()->set_provenance(ToValidUtf8(provenance));
  record.mutable_start()->set_step(step);
  return record;
}

v1::AttemptRecord CheckpointRecordOf(v1::CheckpointRecord checkpoint) {
  v1::AttemptRecord record;
  *record.mutable_checkpoint() = std::move(checkpoint);
  return record;
}

v1::AttemptRecord CompletionRecord(uint32_t step) {
  v1::AttemptRecord record;
  record.mutable_completed()->set_step(step);
  return record;
}

v1::AttemptRecord FailureRecord(uint32_t step, FailureKind kind, absl::string_view message,
                                absl::string_view log_tail) {
  v1::AttemptRecord record;
  v1::Failure* failure = record.mutable_failed();
  failure->set_step(step);
  failure->set_kind(std::string(FailureKindText(kind)));
  failure->set_message(Utf8Head(message, kMaxMessageTextBytes));
  failure->set_log_tail(Utf8Tail(log_tail, kMaxLogTailBytes));
  return record;
}

v1::AttemptRecord ReleaseRecord(uint32_t step, absl::string_view reason, v1::Release cause) {
  v1::AttemptRecord record;
  v1::Release* release = record.mutable_released();
  *release = std::move(cause);
  release->set_step(step);
  release->set_reason(Utf8Head(reason, kMaxMessageTextBytes));
  return record;
}

bool IsEnding(const v1::AttemptRecord& record) {
  return record.has_completed() || record.has_failed() || record.has_released();
}

std::string NameOf(const v1::AttemptRecord& record) {
  switch (record.content_case()) {
    case v1::AttemptRecord::kRow:
      return "a row";
    case v1::AttemptRecord::kLog:
      return "a piece of the log";
    case v1::AttemptRecord::kStart:
      return "the trainer's start";
    case v1::AttemptRecord::kCheckpoint:
      return "a checkpoint";
    case v1::AttemptRecord::kCompleted:
      return "the completion";
    case v1::AttemptRecord::kFailed:
      return "the failure";
    case v1::AttemptRecord::kReleased:
      return "the release";
    case v1::AttemptRecord::CONTENT_NOT_SET:
      break;
  }
  return "an empty record";
}

}  // namespace coppice::worker
