#include "common/spec/run_difference.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/spec/internal.h"
#include "common/spec/program.h"

namespace coppice::spec {
namespace {

using nlohmann::json;

std::string TextOf(const settings::Value* value) {
  if (value == nullptr) return "unset";
  return std::visit([](const auto& of) { return json(of).dump(); }, *value);
}

json ProgramOf(const v1::RunConfig& run) {
  return run.has_program() ? json::parse(ProgramRunToJson(run))["program"] : json::object();
}

// Appends the members that differ of two objects.
void CompareObjects(const std::string& prefix, const json& there, const json& here,
                    std::vector<RunDifference>* found) {
  std::set<std::string> names;
  for (const auto& item : there.items()) names.insert(item.key());
  for (const auto& item : here.items()) names.insert(item.key());
  for (const std::string& name : names) {
    const json was = there.value(name, json());
    const json is = here.value(name, json());
    if (was == is) continue;
    const std::string path = absl::StrCat(prefix, name);
    if (was.is_object() && is.is_object()) {
      CompareObjects(path + ".", was, is, found);
    } else {
      const auto text = [](const json& value) { return value.is_null() ? "unset" : value.dump(); };
      found->push_back({path, text(was), text(is)});
    }
  }
}

}  // namespace

std::vector<RunDifference> RunDifferences(const v1::RunConfig& there, const v1::RunConfig& here) {
  std::vector<RunDifference> found;
  if (there.task() != here.task()) found.push_back({"task", there.task(), here.task()});
  if (there.depth() != here.depth())
    found.push_back({"depth", absl::StrCat(there.depth()), absl::StrCat(here.depth())});
  const settings::Values before = ValuesOf(there);
  const settings::Values after = ValuesOf(here);
  for (const settings::Setting& setting : settings::RunSettings().settings()) {
    std::string was = TextOf(before.Find(setting.path));
    std::string is = TextOf(after.Find(setting.path));
    if (was != is) found.push_back({std::string(setting.path), std::move(was), std::move(is)});
  }
  CompareObjects("program.", ProgramOf(there), ProgramOf(here), &found);
  return found;
}

bool IsSettingOfKeeping(absl::string_view path) {
  return absl::StartsWith(path, "checkpoint.") || path == "report.stall_seconds";
}

uint32_t CommonRowEvery(const v1::RunConfig& run) {
  const v1::ReportSpec& report = run.report();
  if (run.has_program() || report.probes().sentences() == 0) return report.every();
  const uint64_t every = uint64_t{report.every()} * std::max(report.probes().every(), 1u);
  return static_cast<uint32_t>(std::min<uint64_t>(every, std::numeric_limits<uint32_t>::max()));
}

}  // namespace coppice::spec
