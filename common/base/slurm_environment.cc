#include "common/base/slurm_environment.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace coppice {
namespace {

constexpr absl::string_view kDropped[] = {"SBATCH_", "SQUEUE_", "SCANCEL_", "SALLOC_",
                                          "SRUN_",   "SLURM",   "COPPICE_"};

}  // namespace

std::vector<std::string> SlurmEnvironment(const char* const* environment) {
  std::vector<std::string> kept;
  for (; *environment != nullptr; ++environment) {
    const absl::string_view entry = *environment;
    const absl::string_view name = entry.substr(0, entry.find('='));
    const bool drop =
        std::any_of(std::begin(kDropped), std::end(kDropped),
                    [name](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
    if ((drop && name != "SLURM_CONF") || absl::StartsWith(name, "LC_") || name == "LANG") continue;
    kept.emplace_back(entry);
  }
  kept.emplace_back("LC_ALL=C");
  // Seconds since 1970, which no time zone and no summer time changes.
  kept.emplace_back("SLURM_TIME_FORMAT=%s");
  return kept;
}

}  // namespace coppice
