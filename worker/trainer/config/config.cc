#include "worker/trainer/config/config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/settings/table.h"
#include "worker/trainer/config/run_fields.h"
#include "worker/trainer/config/settings_json.h"
#include "worker/trainer/config/strict_json.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxSeeds = 1'000'000;

RunConfig RunOf(StrictObject object) {
  RunConfig run;
  SetFields(ReadRun(std::move(object), settings::RunSettings()), &run);
  return run;
}

}  // namespace

absl::StatusOr<PackSpec> ParsePackSpec(const json& document) {
  absl::Status status;
  PackSpec spec;
  StrictObject top(&document, "", &status);
  top.Require("run");
  top.Require("members");
  spec.run = RunOf(top.Object("run"));
  std::set<uint64_t> seeds;
  for (StrictObject& object : top.Objects("members")) {
    MemberSpec member;
    object.Require("seed");
    object.Require("checkpoint_dir");
    object.Unsigned("seed", &member.seed);
    object.String("checkpoint_dir", &member.checkpoint_dir);
    object.String("resume", &member.resume);
    if (status.ok() && member.checkpoint_dir.empty())
      object.Fail("checkpoint_dir", "must not be empty");
    if (!seeds.insert(member.seed).second)
      object.Fail("seed", absl::StrCat("is given twice: ", member.seed));
    object.Finish();
    spec.members.push_back(std::move(member));
  }
  top.Int("threads", 1, 1024, &spec.threads);
  std::string device = DeviceSpecText(spec.device);
  top.String("device", &device);
  top.Bool("prune", &spec.prune);
  if (spec.members.empty()) top.Fail("members", "must not be empty");
  if (const auto parsed = DeviceSpecFromText(device)) {
    spec.device = *parsed;
  } else {
    top.Fail("device", absl::StrCat("must be auto, cpu or cuda (cuda:1 for the second), not \"",
                                    device, "\""));
  }
  top.Finish();
  if (!status.ok()) return status;
  return spec;
}

absl::StatusOr<PackSpec> ParsePackSpecText(absl::string_view text) {
  COPPICE_ASSIGN_OR_RETURN(const json document, ParseStrictJson(text));
  return ParsePackSpec(document);
}

absl::StatusOr<RunConfig> ParseRunConfigText(absl::string_view text) {
  COPPICE_ASSIGN_OR_RETURN(const json document, ParseStrictJson(text));
  absl::Status status;
  RunConfig run = RunOf(StrictObject(&document, "run", &status));
  if (!status.ok()) return status;
  return run;
}

DatasetOptions DatasetOptionsOf(const RunConfig& run) {
  DatasetOptions options;
  options.task = run.task;
  options.seed = run.data.seed;
  options.train = static_cast<int32_t>(run.data.train);
  options.val = static_cast<int32_t>(run.data.val);
  options.test = static_cast<int32_t>(run.data.test);
  options.gen = static_cast<int32_t>(run.data.gen);
  options.directory = run.data.directory;
  options.files = run.data.files;
  options.decode_sentences = static_cast<int32_t>(run.report.decode_sentences);
  options.dyck_prefixes = static_cast<int32_t>(run.report.dyck_prefixes);
  return options;
}

json ToJson(const RunConfig& run) {
  json document = ToJson(ValuesOf(run));
  // Written only if there are any: runs from before these settings existed are then still the same
  // runs.
  if (!run.data.files.any()) document["data"].erase("files");
  return document;
}

std::string DescribeDifference(const RunConfig& wanted, const RunConfig& saved) {
  json here = ToJson(wanted);
  json there = ToJson(saved);
  for (json* side : {&here, &there}) {
    side->erase("checkpoint");
    (*side)["train"].erase("steps");
  }
  const json flat_here = here.flatten();
  const json flat_there = there.flatten();
  const auto text = [](const json& flat, const std::string& key) {
    const auto found = flat.find(key);
    return found == flat.end() ? std::string("absent") : found->dump();
  };
  json keys = flat_here;
  keys.update(flat_there);
  for (const auto& item : keys.items()) {
    const std::string ours = text(flat_here, item.key());
    const std::string theirs = text(flat_there, item.key());
    if (ours == theirs) continue;
    std::string key = "run";
    for (const char c : item.key()) key += c == '/' ? '.' : c;
    return absl::StrCat(key, " is ", ours, " here and ", theirs, " in the checkpoint");
  }
  return "";
}

absl::StatusOr<std::vector<uint64_t>> ParseSeeds(absl::string_view text) {
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("seeds must be a range or a list such as 0-9 or 0,2,5, not \"", text, "\""));
  std::vector<uint64_t> seeds;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint64_t first = 0;
    uint64_t last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || last < first) {
      return malformed;
    }
    if (last - first >= kMaxSeeds - seeds.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("at most ", kMaxSeeds, " seeds can be given, not \"", text, "\""));
    }
    for (uint64_t seed = first;; ++seed) {
      seeds.push_back(seed);
      if (seed == last) break;
    }
  }
  std::vector<uint64_t> sorted = seeds;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("seed ", *twice, " is given twice in \"", text, "\""));
  }
  return seeds;
}

}  // namespace coppice::trainer
