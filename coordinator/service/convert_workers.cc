// Conversion of requests from workers.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/build_info.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/rpc/channel.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

constexpr uint64_t kMaxIncarnation = uint64_t{1} << 62;
constexpr uint64_t kMaxSilenceMs = uint64_t{10'000} * 24 * 3'600'000;

bool IsDigest(const std::string& digest) {
  return digest.size() == 32 && std::all_of(digest.begin(), digest.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

template <typename Request>
absl::StatusOr<core::CheckpointCommit> NamedCheckpoint(const Request& request) {
  core::CheckpointCommit commit;
  COPPICE_ASSIGN_OR_RETURN(commit.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_ASSIGN_OR_RETURN(commit.lease, LeaseFromProto(request.lease()));
  if (!IsSafeRelativePath(request.path()) || request.path().size() > kMaxPathBytes) {
    return Bad("path",
               "must be a relative path without '.' or '..' parts, inside the checkpoint root");
  }
  COPPICE_RETURN_IF_ERROR(CheckLine("path", request.path(), kMaxPathBytes));
  commit.path = request.path();
  commit.step = request.step();
  return commit;
}

template <typename Request>
absl::StatusOr<core::AttemptEnd> NamedEnd(const Request& request) {
  core::AttemptEnd end;
  COPPICE_ASSIGN_OR_RETURN(end.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_ASSIGN_OR_RETURN(end.lease, LeaseFromProto(request.lease()));
  end.step = request.step();
  return end;
}

}  // namespace

absl::StatusOr<RegisterArguments> RegisterFromProto(const v1::RegisterRequest& request) {
  if (request.protocol() != rpc::kProtocolVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the worker speaks protocol ", request.protocol(), " (version ",
                     Printable(request.version().substr(0, 40)), "), this coordinator protocol ",
                     rpc::kProtocolVersion, " (version ", VersionText(),
                     "); install the same version of Coppice on both machines"));
  }
  COPPICE_RETURN_IF_ERROR(CheckName("name", request.name()));
  COPPICE_RETURN_IF_ERROR(CheckName("instance", request.instance()));
  COPPICE_RETURN_IF_ERROR(CheckLine("host", request.host(), kMaxHostBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("version", request.version(), kMaxNameBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("device", request.device(), kMaxDeviceBytes));
  COPPICE_RETURN_IF_ERROR(CheckRange("slots", request.slots(), 1, kMaxSlots));
  COPPICE_RETURN_IF_ERROR(CheckRange("pack_width", request.pack_width(), 1, kMaxPackWidth));
  RegisterArguments out;
  out.info.name = request.name();
  out.info.instance = request.instance();
  out.info.host = request.host();
  out.info.version = request.version();
  out.info.slots = request.slots();
  out.info.pack_width = request.pack_width();
  out.info.device = request.device();
  out.info.shared_checkpoints = request.shared_checkpoints();
  if (request.ends_ms() < 0) return Bad("ends_ms", "is before 1970");
  out.info.ends_ms = request.ends_ms();
  if (request.incarnation() > kMaxIncarnation) return Bad("incarnation", "was never given out");
  out.info.incarnation = request.incarnation();
  COPPICE_ASSIGN_OR_RETURN(out.held, HeldFromProto(request.held()));
  return out;
}

absl::StatusOr<std::string> WorkerIdFromProto(const std::string& worker_id) {
  COPPICE_RETURN_IF_ERROR(CheckName("worker_id", worker_id));
  return worker_id;
}

absl::StatusOr<core::LeaseRef> LeaseFromProto(const v1::LeaseRef& lease) {
  if (lease.job_id() == 0) return Bad("lease.job_id", "is missing");
  if (lease.attempt() == 0) return Bad("lease.attempt", "is missing");
  COPPICE_RETURN_IF_ERROR(CheckRange("lease.job_id", lease.job_id(), 1, kMaxStored));
  COPPICE_RETURN_IF_ERROR(CheckRange("lease.attempt", lease.attempt(), 1, kMaxStored));
  return core::LeaseRef{lease.job_id(), lease.attempt()};
}

absl::StatusOr<std::vector<core::HeldLease>> HeldFromProto(
    const google::protobuf::RepeatedPtrField<v1::HeldLease>& held) {
  COPPICE_RETURN_IF_ERROR(CheckCount("held", held.size(), kMaxHeldLeases));
  std::vector<core::HeldLease> out;
  out.reserve(held.size());
  for (const v1::HeldLease& one : held) {
    core::HeldLease lease;
    COPPICE_ASSIGN_OR_RETURN(lease.lease, LeaseFromProto(one.lease()));
    if (!std::isfinite(one.steps_per_second()) || one.steps_per_second() < 0) {
      return Bad("held.steps_per_second", "is not a rate");
    }
    lease.step = one.step();
    // A rate that a trainer measured over too short a time is clamped, not refused.
    lease.steps_per_second = std::min(one.steps_per_second(), kMaxStepsPerSecond);
    lease.slot = one.slot();
    lease.silent_ms = std::min(one.silent_ms(), kMaxSilenceMs);
    lease.stall_ms = std::min(one.stall_ms(), kMaxSilenceMs);
    out.push_back(lease);
  }
  return out;
}

absl::StatusOr<core::AcquireRequest> AcquireFromProto(const v1::AcquireLeasesRequest& request) {
  core::AcquireRequest out;
  COPPICE_ASSIGN_OR_RETURN(out.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_RETURN_IF_ERROR(CheckName("request_id", request.request_id()));
  COPPICE_RETURN_IF_ERROR(CheckRange("slot", request.slot(), 0, kMaxSlots - 1));
  COPPICE_RETURN_IF_ERROR(CheckRange("pack_width", request.pack_width(), 1, kMaxPackWidth));
  out.request_id = request.request_id();
  out.slot = request.slot();
  out.pack_width = request.pack_width();
  out.measures = request.measures();
  out.wait_ms = std::min(request.wait_ms(), kMaxWaitMs);
  return out;
}

absl::StatusOr<core::Record> RecordFromProto(v1::StreamMetricsRequest* request) {
  core::Record record;
  COPPICE_ASSIGN_OR_RETURN(record.lease, LeaseFromProto(request->lease()));
  if (request->sequence() == 0) return Bad("sequence", "is missing; records are numbered from 1");
  COPPICE_RETURN_IF_ERROR(CheckRange("sequence", request->sequence(), 1, kMaxSequence));
  record.sequence = request->sequence();
  switch (request->payload_case()) {
    case v1::StreamMetricsRequest::kRow: {
      core::MetricRow& row = record.row.emplace();
      row.step = request->row().step();
      row.values.reserve(request->row().values_size());
      for (v1::MetricValue& value : *request->mutable_row()->mutable_values()) {
        row.values.push_back({std::move(*value.mutable_name()), value.value()});
      }
      break;
    }
    case v1::StreamMetricsRequest::kLog:
      record.log = std::move(*request->mutable_log());
      break;
    case v1::StreamMetricsRequest::kProvenance:
      record.provenance = std::move(*request->mutable_provenance());
      if (request->has_start_step()) record.start_step = request->start_step();
      break;
    case v1::StreamMetricsRequest::PAYLOAD_NOT_SET:
      return Bad("payload", "is missing; send a row, log or provenance");
  }
  return record;
}

absl::StatusOr<core::CheckpointCommit> CommitFromProto(const v1::CommitCheckpointRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(core::CheckpointCommit commit, NamedCheckpoint(request));
  if (!IsDigest(request.digest())) return Bad("digest", "is not 32 lower-case hex digits");
  if (request.bytes() == 0) return Bad("bytes", "is missing");
  COPPICE_RETURN_IF_ERROR(CheckRange("bytes", request.bytes(), 1, kMaxStored));
  COPPICE_RETURN_IF_ERROR(CheckRange("last_sequence", request.last_sequence(), 0, kMaxSequence));
  commit.digest = request.digest();
  commit.bytes = request.bytes();
  commit.last_sequence = request.last_sequence();
  return commit;
}

absl::StatusOr<core::CheckpointCommit> CheckpointFromProto(
    const v1::RejectCheckpointRequest& request) {
  COPPICE_RETURN_IF_ERROR(CheckText("reason", request.reason(), kMaxMessageTextBytes));
  return NamedCheckpoint(request);
}

absl::StatusOr<core::CheckpointCommit> CheckpointFromProto(
    const v1::DownloadCheckpointRequest& request) {
  return NamedCheckpoint(request);
}

absl::StatusOr<core::AttemptEnd> EndFromProto(const v1::CompleteJobRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(core::AttemptEnd end, NamedEnd(request));
  COPPICE_RETURN_IF_ERROR(CheckRange("last_sequence", request.last_sequence(), 0, kMaxSequence));
  end.last_sequence = request.last_sequence();
  end.checkpoint_step = request.checkpoint_step();
  return end;
}

absl::StatusOr<core::AttemptEnd> EndFromProto(const v1::FailJobRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(core::AttemptEnd end, NamedEnd(request));
  COPPICE_RETURN_IF_ERROR(CheckName("kind", request.kind(), 64));
  COPPICE_RETURN_IF_ERROR(CheckText("message", request.message(), kMaxMessageTextBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("log_tail", request.log_tail(), kMaxLogTailBytes));
  end.kind = request.kind();
  end.message = request.message();
  end.log_tail = request.log_tail();
  return end;
}

absl::StatusOr<core::AttemptEnd> EndFromProto(const v1::ReleaseLeaseRequest& request) {
  COPPICE_ASSIGN_OR_RETURN(core::AttemptEnd end, NamedEnd(request));
  COPPICE_RETURN_IF_ERROR(CheckText("reason", request.reason(), kMaxMessageTextBytes));
  COPPICE_RETURN_IF_ERROR(
      CheckRange("out_of_memory_width", request.out_of_memory_width(), 0, kMaxPackWidth));
  if (request.lost() && request.out_of_memory_width() > 0) {
    return Bad("out_of_memory_width", "cannot be known of a lease that was lost");
  }
  COPPICE_RETURN_IF_ERROR(CheckRange("best_width", request.best_width(), 0, kMaxPackWidth));
  if (request.untrained() && (request.lost() || request.out_of_memory_width() > 0)) {
    return Bad("untrained", "cannot be known of a lease that was lost or too wide");
  }
  if (request.best_width() > 0 && (request.lost() || request.out_of_memory_width() > 0)) {
    return Bad("best_width", "is told by a worker that still has the lease and the memory for it");
  }
  end.message = request.reason();
  end.lost = request.lost();
  end.out_of_memory_width = request.out_of_memory_width();
  end.best_width = request.best_width();
  end.untrained = request.untrained();
  return end;
}

}  // namespace coppice::service
