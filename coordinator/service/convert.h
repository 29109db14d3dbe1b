// Conversion between wire messages and core values. Requests are checked here for lengths, ranges,
// finiteness and paths. A refusal is INVALID_ARGUMENT and names the field. The core checks against
// its state (unknown ids, stale attempts).
#ifndef COPPICE_COORDINATOR_SERVICE_CONVERT_H_
#define COPPICE_COORDINATOR_SERVICE_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/limits.h"
#include "coordinator/core/extension.h"
#include "coordinator/core/types.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

// Bounds on the content of one message; common/base/limits.h holds those that others keep too.
inline constexpr size_t kMaxHostBytes = 255;
inline constexpr size_t kMaxDeviceBytes = 512;
inline constexpr size_t kMaxLabelBytes = 200;  // of each label of an allocation
inline constexpr size_t kMaxSystemBytes = 40;
// No attempt reaches this: at ten thousand records a second it would take 3,000 years.
inline constexpr uint64_t kMaxRecordNumber = 1'000'000'000'000'000;
inline constexpr uint64_t kMaxStored = INT64_MAX;  // of ids and sizes
// Rate of one job. Greater rates are clamped to it.
inline constexpr double kMaxStepsPerSecond = 1e6;
inline constexpr size_t kMaxPathBytes = 1024;  // of a checkpoint, below the root
inline constexpr size_t kMaxFilterEntries = 100'000;
inline constexpr size_t kMaxHeldLeases = 10'000;
inline constexpr uint32_t kDefaultPageSize = 1000;
inline constexpr size_t kMaxNoteCharacters = 4000;
inline constexpr uint32_t kMaxWaitMs = 60'000;  // AcquireLeases never waits longer
// The size at which a response stops growing, well under the transport's limit.
inline constexpr size_t kAnswerBytes = 8 << 20;

// ---- requests

// Checks all rules of the spec (common/spec) and resolves its groups. Specs that are equal, but for
// their tags, give equal blobs.
absl::StatusOr<core::SweepSpec> SweepSpecFromProto(const v1::SweepSpec& spec);
absl::StatusOr<uint32_t> PlanPackWidth(uint32_t pack_width);
absl::StatusOr<std::string> SweepNameFromProto(const std::string& name);
absl::StatusOr<core::Deletion> DeletionFromProto(const v1::DeleteSweepRequest& request);
absl::StatusOr<core::Annotation> AnnotationFromProto(const v1::AnnotateSweepRequest& request);
// Of a request to list sweeps, sorted.
absl::StatusOr<std::vector<std::string>> TagsFromProto(const v1::ListSweepsRequest& request);
absl::StatusOr<core::JobId> JobIdFromProto(uint64_t job_id);
absl::StatusOr<core::JobFilter> FilterFromProto(const v1::JobFilter& filter);
struct PageRequest {
  core::JobFilter filter;
  core::JobId after = 0;
  uint32_t limit = 0;
};
absl::StatusOr<PageRequest> PageFromProto(const v1::ListJobsRequest& request);
// Decode a response's next_page_token: its last sweep, or the name of its last worker.
absl::StatusOr<core::SweepId> SweepTokenFromProto(const std::string& token);
absl::StatusOr<std::string> WorkerTokenFromProto(const std::string& token);
absl::StatusOr<core::MetricsQuery> MetricsQueryFromProto(const v1::GetMetricsRequest& request);
absl::StatusOr<std::string> WorkerNameFromProto(const std::string& name_or_id);

struct RegisterArguments {
  core::WorkerInfo info;
  std::vector<core::HeldLease> held;
};
// FAILED_PRECONDITION, naming both versions: the worker speaks another protocol.
absl::StatusOr<RegisterArguments> RegisterFromProto(const v1::RegisterRequest& request);
absl::StatusOr<std::string> WorkerIdFromProto(const std::string& worker_id);
absl::StatusOr<core::LeaseRef> LeaseFromProto(const v1::LeaseRef& lease);
absl::StatusOr<std::vector<core::HeldLease>> HeldFromProto(
    const google::protobuf::RepeatedPtrField<v1::HeldLease>& held);
absl::StatusOr<core::BeatState> BeatFromProto(const v1::HeartbeatRequest& request);
absl::StatusOr<core::Departure> DepartureFromProto(const v1::LeaveRequest& request);
absl::StatusOr<core::AcquireRequest> AcquireFromProto(const v1::AcquireLeasesRequest& request);
// Moves the records out of a message. A record whose content is wrong becomes core::Malformed, and
// the core refuses it in its turn. INVALID_ARGUMENT: the message is too large, or holds a record
// that cannot be answered, because it has no lease or no number.
absl::StatusOr<std::vector<core::Record>> RecordsFromProto(v1::StreamRecordsRequest* request);
absl::StatusOr<core::NamedCheckpoint> UploadFromProto(const v1::CheckpointUpload& upload);
absl::StatusOr<core::NamedCheckpoint> CheckpointFromProto(
    const v1::RejectCheckpointRequest& request);
absl::StatusOr<core::NamedCheckpoint> CheckpointFromProto(
    const v1::DownloadCheckpointRequest& request);

// ---- responses. INTERNAL: stored text (a spec, a run) cannot be read back.

void ToProto(const core::Point& point, google::protobuf::RepeatedPtrField<v1::Coordinate>* out);
void ToProto(const core::JobCounts& counts, v1::JobCounts* out);
absl::Status ToProto(const core::GroupSummary& group, v1::GroupSummary* out);
void ToProto(const core::SweepSummary& summary, v1::SweepSummary* out);
absl::Status ToProto(const core::Plan& plan, v1::Plan* out);
absl::Status ToProto(const core::SubmitResult& result, v1::SubmitSweepResponse* out);
void ToProto(const core::ExtendResult& result, v1::ExtendSweepResponse* out);
void ToProto(const core::DeletedSweep& deleted, v1::DeleteSweepResponse* out);
absl::Status ToProto(const core::SweepDetails& details, bool without_runs,
                     v1::GetSweepResponse* out);
void ToProto(const core::Job& job, v1::Job* out);
// The next three end early, with a page token for the remainder, if the response would exceed
// kAnswerBytes.
void ToProto(const core::JobPage& page, v1::ListJobsResponse* out);
// Sweeps that have all of `tags` (sorted) and an id above `after`, by id.
void ToProto(const std::vector<core::SweepSummary>& sweeps, const std::vector<std::string>& tags,
             core::SweepId after, v1::ListSweepsResponse* out);
// Workers with a name behind `after`, by name. Without `all` the departed are left out.
void ToProto(const std::vector<core::Worker>& workers, const std::string& after, bool all,
             v1::ListWorkersResponse* out);
// Keeps the newest attempts, events and checkpoints if not all fit.
absl::Status ToProto(const core::JobDetails& details, v1::GetJobResponse* out);
void ToProto(const core::Explanation& explanation, v1::ExplainJobResponse* out);
void ToProto(const core::JobMetrics& metrics, v1::JobMetrics* out);
void ToProto(const core::Checkpoint& checkpoint, v1::Checkpoint* out);
void ToProto(const core::Allocation& allocation, v1::Allocation* out);
void ToProto(const core::Worker& worker, v1::Worker* out);
void ToProto(const core::Registration& registration, v1::RegisterResponse* out);
void ToProto(const core::LeaseRef& lease, v1::LeaseRef* out);
void ToProto(const core::LeaseGrant& grant, v1::AcquireLeasesResponse* out);
void ToProto(const core::HeartbeatResult& result, v1::HeartbeatResponse* out);
void ToProto(core::AttemptAnswer answer, v1::AttemptAnswer* out);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CONVERT_H_
