// Conversion of requests from workers.
#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/build_info.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/limits.h"
#include "common/base/printable.h"
#include "common/rpc/channel.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

constexpr uint64_t kMaxIncarnation = uint64_t{1} << 62;
constexpr uint64_t kMaxSilenceMs = uint64_t{10'000} * 24 * 3'600'000;

template <typename Request>
absl::StatusOr<core::NamedCheckpoint> FromRequest(const Request& request) {
  core::NamedCheckpoint checkpoint;
  COPPICE_ASSIGN_OR_RETURN(checkpoint.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_ASSIGN_OR_RETURN(checkpoint.lease, LeaseFromProto(request.lease()));
  COPPICE_RETURN_IF_ERROR(CheckPath(request.path()));
  checkpoint.path = request.path();
  checkpoint.step = request.step();
  return checkpoint;
}

absl::StatusOr<core::Allocation> AllocationFromProto(const v1::Allocation& in) {
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.system", in.system(), kMaxSystemBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.cluster", in.cluster(), kMaxLabelBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.job_id", in.job_id(), kMaxLabelBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.raw_job_id", in.raw_job_id(), kMaxLabelBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.partition", in.partition(), kMaxLabelBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.node", in.node(), kMaxHostBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("allocation.pool_key", in.pool_key(), kMaxLabelBytes));
  COPPICE_RETURN_IF_ERROR(CheckCount("allocation.gpus", in.gpus().size(), kMaxSlots));
  core::Allocation out;
  for (const std::string& gpu : in.gpus()) {
    COPPICE_RETURN_IF_ERROR(CheckName("allocation.gpus", gpu, kMaxLabelBytes));
    out.gpus.push_back(gpu);
  }
  out.system = in.system();
  out.cluster = in.cluster();
  out.job_id = in.job_id();
  out.raw_job_id = in.raw_job_id();
  out.partition = in.partition();
  out.node = in.node();
  out.proc_id = in.proc_id();
  out.restarts = in.restarts();
  out.pool_key = in.pool_key();
  return out;
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
  out.info.programs = request.programs();
  if (request.ends_ms() < 0) return Bad("ends_ms", "is before 1970");
  out.info.ends_ms = request.ends_ms();
  if (request.incarnation() > kMaxIncarnation) return Bad("incarnation", "was never given out");
  out.info.incarnation = request.incarnation();
  COPPICE_ASSIGN_OR_RETURN(out.info.allocation, AllocationFromProto(request.allocation()));
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

absl::StatusOr<core::BeatState> BeatFromProto(const v1::HeartbeatRequest& request) {
  if (request.ends_ms() < 0) return Bad("ends_ms", "is before 1970");
  COPPICE_RETURN_IF_ERROR(CheckRange("idle_slots", request.idle_slots(), 0, kMaxSlots));
  return core::BeatState{request.draining(), request.ends_ms(), request.idle_slots()};
}

absl::StatusOr<core::Departure> DepartureFromProto(const v1::LeaveRequest& request) {
  core::Departure out;
  COPPICE_ASSIGN_OR_RETURN(out.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_RETURN_IF_ERROR(CheckLine("message", request.message(), kMaxMessageTextBytes));
  out.message = request.message();
  switch (request.reason()) {
    case v1::EXIT_STOPPED:
      out.reason = core::ExitReason::kStopped;
      return out;
    case v1::EXIT_PREEMPTED:
      out.reason = core::ExitReason::kPreempted;
      return out;
    case v1::EXIT_WALLTIME:
      out.reason = core::ExitReason::kWalltime;
      return out;
    case v1::EXIT_IDLE:
      out.reason = core::ExitReason::kIdle;
      return out;
    case v1::EXIT_DRAINED:
      out.reason = core::ExitReason::kDrained;
      return out;
    case v1::EXIT_FAILED:
      out.reason = core::ExitReason::kFailed;
      return out;
    default:
      return Bad("reason", "is not one that this version knows");
  }
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

absl::StatusOr<core::NamedCheckpoint> CheckpointFromProto(
    const v1::RejectCheckpointRequest& request) {
  COPPICE_RETURN_IF_ERROR(CheckText("reason", request.reason(), kMaxMessageTextBytes));
  return FromRequest(request);
}

absl::StatusOr<core::NamedCheckpoint> CheckpointFromProto(
    const v1::DownloadCheckpointRequest& request) {
  return FromRequest(request);
}

}  // namespace coppice::service
