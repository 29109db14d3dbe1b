// Conversion of requests from clients.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "common/base/limits.h"
#include "common/spec/axes.h"
#include "common/spec/run_difference.h"
#include "common/spec/spec.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

// Of a filter: more than a sweep has axes, and values of each.
constexpr size_t kMaxConditions = 64;
constexpr size_t kMaxConditionValues = 20'000;

// Field order is fixed and specs have no map fields, so equal messages give equal bytes.
std::string Serialize(const v1::SweepSpec& spec) {
  std::string blob;
  {
    google::protobuf::io::StringOutputStream stream(&blob);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    // A string takes all that is written.
    (void)spec.SerializeToCodedStream(&coded);
  }
  return blob;
}

core::GroupSpec GroupOf(const spec::GridPoint& point) {
  const v1::RunConfig& run = point.run;
  core::GroupSpec group;
  group.task = point.task;
  group.depth = point.depth;
  for (const v1::Coordinate& coordinate : point.coordinates)
    group.point.push_back({coordinate.axis(), coordinate.value()});
  group.run_json = spec::RunConfigToJson(run);
  group.steps = run.train().steps();
  group.report_every = run.report().every();
  group.checkpoint_every = run.checkpoint().every();
  group.keep = run.checkpoint().keep();
  group.keep_every = run.checkpoint().keep_every();
  group.work_per_step = spec::WorkPerStep(run);
  group.common_row_every = spec::CommonRowEvery(run);
  if (run.has_program()) group.program_pack = run.program().pack();
  return group;
}

absl::StatusOr<std::vector<core::AxisCondition>> ConditionsFromProto(
    const google::protobuf::RepeatedPtrField<v1::AxisCondition>& where) {
  COPPICE_RETURN_IF_ERROR(CheckCount("filter.where", where.size(), kMaxConditions));
  std::vector<core::AxisCondition> conditions;
  conditions.reserve(static_cast<size_t>(where.size()));
  for (const v1::AxisCondition& condition : where) {
    COPPICE_RETURN_IF_ERROR(CheckName("filter.where.axis", condition.axis()));
    COPPICE_RETURN_IF_ERROR(
        CheckCount("filter.where.values", condition.values_size(), kMaxConditionValues));
    if (condition.values().empty()) return Bad("filter.where.values", "is missing");
    for (const std::string& value : condition.values())
      COPPICE_RETURN_IF_ERROR(CheckName("filter.where.values", value));
    conditions.push_back(
        {condition.axis(), {condition.values().begin(), condition.values().end()}});
  }
  return conditions;
}

}  // namespace

absl::StatusOr<core::SweepSpec> SweepSpecFromProto(const v1::SweepSpec& spec) {
  COPPICE_RETURN_IF_ERROR(spec::ProblemsToStatus(spec::ValidateSweepSpec(spec)));
  core::SweepSpec out;
  out.name = spec.name();
  out.spec_blob = Serialize(spec);
  out.priority = spec::Priority(spec);
  out.max_failures = spec::MaxFailures(spec);
  COPPICE_RETURN_IF_ERROR(spec::ForEachPoint(spec, [&out](const spec::GridPoint& point) {
    out.groups.push_back(GroupOf(point));
    return absl::OkStatus();
  }));
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
  COPPICE_RETURN_IF_ERROR(CheckRange("job_id", job_id, 1, kMaxStored));
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
  COPPICE_ASSIGN_OR_RETURN(out.where, ConditionsFromProto(filter.where()));
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

absl::StatusOr<core::SweepId> SweepTokenFromProto(const std::string& token) {
  core::SweepId after = 0;
  if (token.empty() || (token.size() <= 20 && absl::SimpleAtoi(token, &after))) return after;
  return Bad("page_token", "is not one that an earlier answer gave");
}

absl::StatusOr<std::string> WorkerTokenFromProto(const std::string& token) {
  if (!token.empty()) COPPICE_RETURN_IF_ERROR(CheckName("page_token", token));
  return token;
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

}  // namespace coppice::service
