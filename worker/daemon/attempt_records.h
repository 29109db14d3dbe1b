// The records of an attempt, made from the reports of its trainer. Texts become valid UTF-8 and are
// cut to the limits of the wire. The lease and the number are left unset; the Outbox fills them in.
#ifndef COPPICE_WORKER_DAEMON_ATTEMPT_RECORDS_H_
#define COPPICE_WORKER_DAEMON_ATTEMPT_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/failure_kind.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::worker {

v1::AttemptRecord RowRecord(v1::MetricRow row);
// A long text becomes several records.
std::vector<v1::AttemptRecord> LogRecords(absl::string_view text);
v1::AttemptRecord StartRecord(absl::string_view provenance, uint32_t step);
v1::AttemptRecord CheckpointRecordOf(v1::CheckpointRecord checkpoint);
v1::AttemptRecord CompletionRecord(uint32_t step);
v1::AttemptRecord FailureRecord(uint32_t step, FailureKind kind, absl::string_view message,
                                absl::string_view log_tail);
// `cause` is a Release in which only the cause is set.
v1::AttemptRecord ReleaseRecord(uint32_t step, absl::string_view reason, v1::Release cause);

// The record ends the attempt: a completion, a failure or a release.
bool IsEnding(const v1::AttemptRecord& record);
// Names the record in messages: "a row", "the completion", ...
std::string NameOf(const v1::AttemptRecord& record);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_ATTEMPT_RECORDS_H_
