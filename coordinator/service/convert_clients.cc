// Conversion of requests from clients.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "common/base/utf8.h"
#include "common/spec/axes.h"
#include "common/spec/run_difference.h"
#include "common/spec/spec.h"
#include "common/spec/tags.h"
#include "coordinator/service/checks.h"

namespace coppice::service {
namespace {

// A spec and a command allow the same.
static_assert(spec::kMaxTagsOfSweep == core::kMaxTags);

// Of a filter: more than a sweep has axes, and values of each.
constexpr size_t kMaxConditions = 64;
constexpr size_t kMaxConditionValues = 20'000;
constexpr size_t kMaxTagsInRequest = 100;

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

using Strings = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> SortedOnce(const Strings& values) {
  const std::set<std::string> sorted(values.begin(), values.end());
  return {sorted.begin(), sorted.end()};
}

absl::StatusOr<std::vector<std::string>> CheckedTags(const char* field, const Strings& tags) {
  COPPICE_RETURN_IF_ERROR(CheckCount(field, tags.size(), kMaxTagsInRequest));
  for (const std::string& tag : tags) {
    const std::string mistake = spec::TagMistake(tag);
    if (!mistake.empty()) return Bad(field, mistake);
  }
  return SortedOnce(tags);
}

absl::Status CheckNote(const std::string& note) {
  size_t characters = 0;
  for (const char byte : note) characters += IsUtf8Continuation(byte) ? 0 : 1;
  if (characters > kMaxNoteCharacters) {
    return Bad("note",
               absl::StrCat("has ", characters, " characters; use at most ", kMaxNoteCharacters));
  }
  for (const absl::string_view line : absl::StrSplit(note, '\n')) {
    if (!IsPrintable(line))
      return Bad("note", "holds a control character that is no newline, or is not UTF-8");
  }
  return absl::OkStatus();
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
  if (spec.tags().empty()) {
    out.spec_blob = Serialize(spec);
  } else {
    v1::SweepSpec untagged = spec;
    untagged.clear_tags();
    out.spec_blob = Serialize(untagged);
    out.tags = SortedOnce(spec.tags());
  }
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

absl::StatusOr<core::Deletion> DeletionFromProto(const v1::DeleteSweepRequest& request) {
  core::Deletion deletion;
  COPPICE_ASSIGN_OR_RETURN(deletion.name, SweepNameFromProto(request.name()));
  COPPICE_RETURN_IF_ERROR(CheckRange("id", request.id(), 0, kMaxStored));
  deletion.id = request.id();
  deletion.dry_run = request.dry_run();
  return deletion;
}

absl::StatusOr<core::Annotation> AnnotationFromProto(const v1::AnnotateSweepRequest& request) {
  core::Annotation annotation;
  COPPICE_ASSIGN_OR_RETURN(annotation.name, SweepNameFromProto(request.name()));
  if (request.has_note()) {
    COPPICE_RETURN_IF_ERROR(CheckNote(request.note()));
    annotation.note = request.note();
  }
  COPPICE_ASSIGN_OR_RETURN(annotation.add_tags, CheckedTags("add_tags", request.add_tags()));
  COPPICE_ASSIGN_OR_RETURN(annotation.remove_tags,
                           CheckedTags("remove_tags", request.remove_tags()));
  for (const std::string& tag : annotation.add_tags) {
    if (std::binary_search(annotation.remove_tags.begin(), annotation.remove_tags.end(), tag))
      return Bad("add_tags", absl::StrCat("holds ", tag, ", and remove_tags does too"));
  }
  return annotation;
}

absl::StatusOr<std::vector<std::string>> TagsFromProto(const v1::ListSweepsRequest& request) {
  return CheckedTags("tags", request.tags());
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
