#include "bench/trainer/guard.h"

#include <cmath>
#include <exception>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice::bench {
namespace {

constexpr double kSameMachine = 0.75;
constexpr double kOtherMachine = 0.5;

}  // namespace

absl::StatusOr<Recorded> ReadRecorded(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  try {
    const nlohmann::json document = nlohmann::json::parse(text);
    return Recorded{document.at("machine"), document.at("version"), document.at("ours_over_eager")};
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", error.what(), "; bench_trainer --record writes it anew"));
  }
}

absl::Status WriteRecorded(const std::string& path, const Recorded& recorded) {
  nlohmann::ordered_json document = {{"machine", recorded.machine}, {"version", recorded.version}};
  for (const auto& [name, ratio] : recorded.over_eager)
    document["ours_over_eager"][name] = std::round(ratio * 100) / 100;
  return WriteFileAtomically(path, document.dump(2) + "\n");
}

double LowestRatio(const Recorded& recorded, const std::string& machine,
                   const std::string& configuration) {
  const auto found = recorded.over_eager.find(configuration);
  if (found == recorded.over_eager.end()) return 0;
  return found->second * (machine == recorded.machine ? kSameMachine : kOtherMachine);
}

absl::Status Judge(const Recorded& recorded, const std::string& machine,
                   const std::string& configuration, double ratio) {
  const double lowest = LowestRatio(recorded, machine, configuration);
  if (ratio >= lowest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s: ours is %.2f times as fast as the eager baseline; it was %.2f times when version %s was "
      "recorded (%s), and less than %.2f is too slow. If that is meant: bench/run.sh --record "
      "bench/trainer/recorded.json",
      configuration, ratio, recorded.over_eager.at(configuration), recorded.version,
      recorded.machine, lowest));
}

}  // namespace coppice::bench
