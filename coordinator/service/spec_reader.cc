#include "coordinator/service/spec_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/spec/run_difference.h"
#include "common/spec/spec.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::service {
namespace {

absl::StatusOr<v1::SweepSpec> ReadSpec(const std::string& blob) {
  v1::SweepSpec spec;
  if (spec.ParseFromString(blob)) return spec;
  return absl::InternalError("the stored spec of the sweep cannot be read");
}

absl::StatusOr<v1::RunConfig> ReadRun(const std::string& json) {
  absl::StatusOr<v1::RunConfig> run = spec::RunConfigFromJson(json);
  if (run.ok()) return run;
  return absl::InternalError(
      absl::StrCat("the stored run configuration cannot be read: ", run.status().message()));
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> SpecReader::SeedsOf(const std::string& spec_blob) const {
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSpec spec, ReadSpec(spec_blob));
  return std::vector<uint32_t>(spec.seeds().begin(), spec.seeds().end());
}

absl::StatusOr<std::vector<core::SettingChange>> SpecReader::CompareSweeps(
    const std::string& stored_blob, const std::string& wanted_blob) const {
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSpec stored, ReadSpec(stored_blob));
  COPPICE_ASSIGN_OR_RETURN(const v1::SweepSpec wanted, ReadSpec(wanted_blob));
  std::vector<core::SettingChange> changes;
  // The order says which of them comes first.
  const std::string was = absl::StrJoin(stored.program().primary(), ", ");
  const std::string is = absl::StrJoin(wanted.program().primary(), ", ");
  if (was != is) {
    changes.push_back(
        {"program.metrics.primary", was.empty() ? "none" : was, is.empty() ? "none" : is});
  }
  return changes;
}

absl::StatusOr<core::RunChange> SpecReader::CompareRuns(const std::string& stored_json,
                                                        const std::string& wanted_json) const {
  COPPICE_ASSIGN_OR_RETURN(const v1::RunConfig stored, ReadRun(stored_json));
  COPPICE_ASSIGN_OR_RETURN(const v1::RunConfig wanted, ReadRun(wanted_json));
  core::RunChange change;
  for (spec::RunDifference& difference : spec::RunDifferences(stored, wanted)) {
    if (difference.path == "train.steps") continue;
    auto& into = spec::IsSettingOfKeeping(difference.path) ? change.in_place : change.others;
    into.push_back(
        {std::move(difference.path), std::move(difference.there), std::move(difference.here)});
  }
  return change;
}

}  // namespace coppice::service
