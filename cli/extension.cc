#include "cli/extension.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/plan_view.h"
#include "common/base/status_macros.h"
#include "common/spec/difference.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxPointsNamed = 8;

std::string Counted(uint64_t count, const char* one, const char* many) {
  return absl::StrCat(FormatCount(count), " ", count == 1 ? one : many);
}

std::string PointsText(std::vector<std::string> points) {
  const bool cut = points.size() > kMaxPointsNamed;
  if (cut) points.resize(kMaxPointsNamed);
  return absl::StrCat(absl::StrJoin(points, ", "), cut ? ", ..." : "");
}

std::vector<uint32_t> NewSeeds(const v1::SweepSpec& before, const v1::SweepSpec& after) {
  std::vector<uint32_t> old(before.seeds().begin(), before.seeds().end());
  std::vector<uint32_t> all(after.seeds().begin(), after.seeds().end());
  std::sort(old.begin(), old.end());
  std::sort(all.begin(), all.end());
  std::vector<uint32_t> added;
  std::set_difference(all.begin(), all.end(), old.begin(), old.end(), std::back_inserter(added));
  return added;
}

double WorkOf(const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups) {
  double work = 0;
  for (const v1::GroupSummary& group : groups) {
    const v1::JobCounts& counts = group.counts();
    const uint64_t jobs = counts.pending() + counts.running() + counts.succeeded() +
                          counts.failed() + counts.cancelled();
    work += group.work_per_step() * static_cast<double>(group.steps()) * static_cast<double>(jobs);
  }
  return work;
}

void AddNewJobs(const PlannedExtension& planned, const v1::SweepSpec& spec,
                std::vector<std::string>* lines) {
  const v1::SweepExtension& extension = planned.answer.extension();
  if (extension.new_points() > 0) {
    lines->push_back(
        absl::StrCat(Counted(extension.new_points(), "new point: ", "new points: "),
                     PointsText(spec::OverlapOf(planned.before.spec(), spec).points_here)));
  }
  if (const std::vector<uint32_t> seeds = NewSeeds(planned.before.spec(), spec); !seeds.empty()) {
    lines->push_back(
        absl::StrCat(seeds.size() == 1 ? "new seed: " : "new seeds: ", spec::RangesText(seeds)));
  }
  if (extension.new_jobs() > 0)
    lines->push_back(Counted(extension.new_jobs(), "new job in all", "new jobs in all"));
}

void AddSteps(const v1::SweepExtension& extension, std::vector<std::string>* lines) {
  if (extension.continued_jobs() > 0) {
    lines->push_back(Counted(extension.continued_jobs(),
                             "job that has succeeded goes on to more steps",
                             "jobs that have succeeded go on to more steps"));
  }
  if (extension.repeating_jobs() > 0) {
    lines->push_back(absl::StrCat(
        Counted(extension.repeating_jobs(), "of them computes ", "of them compute "),
        Counted(extension.repeated_steps(), "step again", "steps again in all"),
        ": no report of a longer run is at the last step, so that training goes on from an older "
        "checkpoint or from the start"));
  }
  if (extension.longer_jobs() > 0) {
    lines->push_back(Counted(extension.longer_jobs(), "job that has not ended gets more steps",
                             "jobs that have not ended get more steps"));
  }
  if (extension.changed_jobs() > 0) {
    lines->push_back(Counted(extension.changed_jobs(), "job that has not begun gets other settings",
                             "jobs that have not begun get other settings"));
  }
}

}  // namespace

absl::StatusOr<PlannedExtension> PlanExtension(Client* client, const v1::SweepSpec& spec,
                                               uint32_t pack_width) {
  PlannedExtension planned;
  COPPICE_ASSIGN_OR_RETURN(planned.before, client->GetSweep(spec.name()));
  v1::ExtendSweepRequest request;
  *request.mutable_spec() = spec;
  request.set_dry_run(true);
  request.set_pack_width(pack_width);
  COPPICE_ASSIGN_OR_RETURN(planned.answer, client->Extend(request));
  return planned;
}

std::vector<std::string> ExtensionLines(const PlannedExtension& planned,
                                        const v1::SweepSpec& spec) {
  const v1::SweepExtension& extension = planned.answer.extension();
  std::vector<std::string> lines;
  AddNewJobs(planned, spec, &lines);
  AddSteps(extension, &lines);
  for (const std::string& setting : extension.settings()) lines.push_back(Printable(setting));
  const double work = planned.answer.plan().expected_work() - WorkOf(planned.before.groups());
  if (extension.added_steps() > 0) {
    lines.push_back(absl::StrCat(FormatSteps(extension.added_steps()), " more steps",
                                 work > 0 ? absl::StrCat("; work: ", WorkText(work)) : ""));
  }
  return lines;
}

absl::Status WhyRefused(const SpecFile& file, const std::string& place, const std::string& remedy,
                        const v1::SweepExtension& extension) {
  if (extension.refused().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(file.Locate("name"), ": ", place, " cannot make this of its sweep '",
                   file.spec.name(), "', whose jobs keep what they began with; ", remedy, "\n  ",
                   absl::StrJoin(extension.refused(), "\n  ")));
}

}  // namespace coppice::cli
