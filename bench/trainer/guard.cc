#include "bench/trainer/guard.h"

#include <algorithm>
#include <cmath>
#include <exception>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice::bench {
namespace {

constexpr double kLetPass = 0.75;

nlohmann::ordered_json ToJson(const Recorded& recorded) {
  nlohmann::ordered_json row = {{"machine", recorded.machine}, {"version", recorded.version}};
  for (const auto& [name, ratio] : recorded.over_eager)
    row["ours_over_eager"][name] = std::round(ratio * 100) / 100;
  return row;
}

}  // namespace

absl::StatusOr<std::vector<Recorded>> ReadRecords(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  try {
    const nlohmann::json document = nlohmann::json::parse(text);
    std::vector<Recorded> records;
    for (const nlohmann::json& row : document.at("machines"))
      records.push_back({row.at("machine"), row.at("version"), row.at("ours_over_eager")});
    return records;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", error.what(), "; remove it, and bench_trainer --record writes it anew"));
  }
}

absl::Status WriteRecord(const std::string& path, const Recorded& recorded) {
  absl::StatusOr<std::vector<Recorded>> records = ReadRecords(path);
  if (absl::IsNotFound(records.status())) records = std::vector<Recorded>();
  if (!records.ok()) return records.status();
  const auto own = std::find_if(records->begin(), records->end(), [&](const Recorded& row) {
    return row.machine == recorded.machine;
  });
  if (own != records->end()) {
    *own = recorded;
  } else {
    records->push_back(recorded);
  }
  nlohmann::ordered_json document = {{"machines", nlohmann::ordered_json::array()}};
  for (const Recorded& row : *records) document["machines"].push_back(ToJson(row));
  return WriteFileAtomically(path, document.dump(2) + "\n");
}

const Recorded* FindRecord(const std::vector<Recorded>& records, const std::string& machine) {
  const auto found = std::find_if(records.begin(), records.end(),
                                  [&](const Recorded& row) { return row.machine == machine; });
  return found == records.end() ? nullptr : &*found;
}

double LowestRatio(const Recorded& recorded, const std::string& configuration) {
  const auto found = recorded.over_eager.find(configuration);
  return found == recorded.over_eager.end() ? 0 : found->second * kLetPass;
}

absl::Status Judge(const Recorded& recorded, const std::string& configuration, double ratio) {
  const double lowest = LowestRatio(recorded, configuration);
  if (ratio >= lowest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s: ours is %.2f times as fast as the eager baseline; it was %.2f times when version %s was "
      "recorded (%s), and less than %.2f is too slow. If that is meant: bench/run.sh --record "
      "bench/trainer/recorded.json",
      configuration, ratio, recorded.over_eager.at(configuration), recorded.version,
      recorded.machine, lowest));
}

}  // namespace coppice::bench
