// What arrives.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/spec/spec.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, " ", what));
}

absl::Status CheckText(absl::string_view field, absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return Bad(field, absl::StrCat("holds ", text.size(), " bytes; at most ", max_bytes));
}

// A name that is printed, logged and typed: not empty, no control characters.
absl::Status CheckName(absl::string_view field, absl::string_view text,
                       size_t max_bytes = kMaxNameBytes) {
  if (text.empty()) return Bad(field, "is missing");
  COPPICE_RETURN_IF_ERROR(CheckText(field, text, max_bytes));
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return Bad(field, "holds a control character");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCount(absl::string_view field, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return Bad(field, absl::StrCat("holds ", count, " entries; at most ", most));
}

absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Bad(field, absl::StrCat("is ", value, "; use ", low, " to ", high));
}

bool IsDigest(const std::string& digest) {
  return digest.size() == 32 && std::all_of(digest.begin(), digest.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

// Field order is fixed and specs hold no map, so equal messages give equal bytes.
std::string Serialize(const v1::SweepSpec& spec) {
  std::string blob;
  {
    google::protobuf::io::StringOutputStream stream(&blob);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  return blob;
}

template <typename Request>
absl::StatusOr<core::CheckpointCommit> NamedCheckpoint(const Request& request) {
  core::CheckpointCommit commit;
  COPPICE_ASSIGN_OR_RETURN(commit.worker_id, WorkerIdFromProto(request.worker_id()));
  COPPICE_ASSIGN_OR_RETURN(commit.lease, LeaseFromProto(request.lease()));
  if (!IsSafeRelativePath(request.path()) || request.path().size() > 1024) {
    return Bad("path",
               "must be a relative path without '.' or '..' parts, inside the checkpoint root");
  }
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

absl::StatusOr<core::SweepSpec> SweepSpecFromProto(const v1::SweepSpec& spec) {
  COPPICE_RETURN_IF_ERROR(spec::ProblemsToStatus(spec::ValidateSweepSpec(spec)));
  core::SweepSpec out;
  out.name = spec.name();
  out.spec_blob = Serialize(spec);
  out.priority = spec::Priority(spec);
  out.max_failures = spec::MaxFailures(spec);
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      const v1::RunConfig run = spec::ResolveRun(spec, task, depth);
      core::GroupSpec group;
      group.task = task;
      group.depth = depth;
      group.run_json = spec::RunConfigToJson(run);
      group.steps = run.train().steps();
      group.report_every = run.report().every();
      group.checkpoint_every = run.checkpoint().every();
      group.keep = run.checkpoint().keep();
      group.keep_every = run.checkpoint().keep_every();
      group.work_per_step = spec::WorkPerStep(run);
      out.groups.push_back(std::move(group));
    }
  }
  out.seeds.assign(spec.seeds().begin(), spec.seeds().end());
  return out;
}

absl::StatusOr<uint32_t> PlanPackWidth(uint32_t pack_width) {
  if (pack_width == 0) return kDefaultPackWidth;
  COPPICE_RETURN_IF_ERROR(CheckRange("pack_width", pack_width, 1, kMaxPackWidth));
  return pack_width;
}

absl::StatusOr<std::string> SweepNameFromProto(const std::string& name) {
  COPPICE_RETURN_IF_ERROR(CheckName("name", name));
  return name;
}

absl::StatusOr<core::JobId> JobIdFromProto(uint64_t job_id) {
  if (job_id == 0) return Bad("job_id", "is missing");
  return job_id;
}

absl::StatusOr<core::JobFilter> FilterFromProto(const v1::JobFilter& filter) {
  if (filter.sweep().empty() && filter.job_ids().empty()) {
    return Bad("filter.sweep", "is missing; name a sweep or list job_ids");
  }
  COPPICE_RETURN_IF_ERROR(CheckText("filter.sweep", filter.sweep(), kMaxNameBytes));
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.job_ids", filter.job_ids_size(), kMaxFilterEntries));
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.tasks", filter.tasks_size(), 100));
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.depths", filter.depths_size(), 1000));
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.seeds", filter.seeds_size(), kMaxFilterEntries));
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.states", filter.states_size(), 16));
  core::JobFilter out;
  out.sweep = filter.sweep();
  for (const uint64_t id : filter.job_ids()) {
    COPPICE_RETURN_IF_ERROR(JobIdFromProto(id).status());
    out.job_ids.push_back(id);
  }
  for (const std::string& task : filter.tasks()) {
    COPPICE_RETURN_IF_ERROR(CheckName("filter.tasks", task));
    out.tasks.push_back(task);
  }
  out.depths.assign(filter.depths().begin(), filter.depths().end());
  out.seeds.assign(filter.seeds().begin(), filter.seeds().end());
  for (const int state : filter.states()) {
    if (state == v1::JOB_STATE_UNSPECIFIED || !v1::JobState_IsValid(state)) {
      return Bad("filter.states", absl::StrCat("holds ", state, ", which is no job state"));
    }
    out.states.push_back(static_cast<core::JobState>(state));
  }
  return out;
}

absl::StatusOr<PageRequest> PageFromProto(const v1::ListJobsRequest& request) {
  PageRequest out;
  COPPICE_ASSIGN_OR_RETURN(out.filter, FilterFromProto(request.filter()));
  COPPICE_RETURN_IF_ERROR(CheckRange("page_size", request.page_size(), 0, kMaxPageSize));
  out.limit = request.page_size() == 0 ? kDefaultPageSize : request.page_size();
  if (!request.page_token().empty() &&
      (request.page_token().size() > 20 || !absl::SimpleAtoi(request.page_token(), &out.after))) {
    return Bad("page_token", "is not one that an earlier answer gave");
  }
  return out;
}

absl::StatusOr<core::MetricsQuery> MetricsQueryFromProto(const v1::GetMetricsRequest& request) {
  core::MetricsQuery query;
  COPPICE_ASSIGN_OR_RETURN(query.filter, FilterFromProto(request.filter()));
  COPPICE_RETURN_IF_ERROR(CheckCount("names", request.names_size(), 1000));
  for (const std::string& name : request.names()) {
    COPPICE_RETURN_IF_ERROR(CheckName("names", name));
    query.names.push_back(name);
  }
  query.from_step = request.from_step();
  query.include_archived = request.include_archived();
  return query;
}

absl::StatusOr<std::string> WorkerNameFromProto(const std::string& name_or_id) {
  COPPICE_RETURN_IF_ERROR(CheckName("worker", name_or_id));
  return name_or_id;
}

absl::StatusOr<RegisterArguments> RegisterFromProto(const v1::RegisterRequest& request) {
  if (request.protocol() != rpc::kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the worker speaks protocol ", request.protocol(), " (version ",
        request.version().substr(0, 40), "), this coordinator protocol ", rpc::kProtocolVersion,
        " (version ", COPPICE_VERSION, "); install the same version of Coppice on both machines"));
  }
  COPPICE_RETURN_IF_ERROR(CheckName("name", request.name()));
  COPPICE_RETURN_IF_ERROR(CheckName("instance", request.instance()));
  COPPICE_RETURN_IF_ERROR(CheckText("host", request.host(), kMaxMessageTextBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("version", request.version(), kMaxNameBytes));
  COPPICE_RETURN_IF_ERROR(CheckText("device", request.device(), kMaxMessageTextBytes));
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
  COPPICE_ASSIGN_OR_RETURN(out.held, HeldFromProto(request.held()));
  return out;
}

absl::StatusOr<std::string> WorkerIdFromProto(const std::string& worker_id) {
  COPPICE_RETURN_IF_ERROR(CheckName("worker_id", worker_id));
  return worker_id;
}

absl::StatusOr<core::LeaseRef> LeaseFromProto(const v1::LeaseRef& lease) {
  if (lease.job_id() == 0) return Bad("lease.job_id", "is missing");
  if (lease.epoch() == 0) return Bad("lease.epoch", "is missing");
  return core::LeaseRef{lease.job_id(), lease.epoch()};
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
    lease.steps_per_second = one.steps_per_second();
    lease.slot = one.slot();
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
  out.wait_ms = std::min(request.wait_ms(), kMaxWaitMs);
  return out;
}

absl::StatusOr<core::Record> RecordFromProto(v1::StreamMetricsRequest* request) {
  core::Record record;
  COPPICE_ASSIGN_OR_RETURN(record.lease, LeaseFromProto(request->lease()));
  if (request->sequence() == 0) return Bad("sequence", "is missing; records are numbered from 1");
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
  commit.digest = request.digest();
  commit.bytes = request.bytes();
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
  end.last_sequence = request.last_sequence();
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
  end.message = request.reason();
  return end;
}

}  // namespace coppice::service
