#include "bench/control_plane/overload.h"

#include <unistd.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/control_plane/coordinator_process.h"
#include "bench/control_plane/fleet.h"
#include "bench/control_plane/machine.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice::bench {
namespace {

constexpr uint32_t kPack = 10;

nlohmann::json ToJson(const LoadResult& result) {
  return {{"seconds", result.seconds},
          {"leases", result.leases},
          {"completions", result.completions},
          {"offered", result.offered},
          {"refused", result.refused},
          {"failed", result.failed},
          {"lost", result.lost},
          {"in_all", result.in_all},
          {"until_last", result.until_last},
          {"drain_seconds", result.drain_seconds},
          {"client_cpu", result.client_cpu}};
}

LoadResult LoadFromJson(const nlohmann::json& json) {
  LoadResult result;
  result.seconds = json.value("seconds", 0.0);
  result.leases = json.value("leases", uint64_t{0});
  result.completions = json.value("completions", uint64_t{0});
  result.offered = json.value("offered", uint64_t{0});
  result.refused = json.value("refused", uint64_t{0});
  result.failed = json.value("failed", uint64_t{0});
  result.lost = json.value("lost", uint64_t{0});
  result.in_all = json.value("in_all", uint64_t{0});
  result.until_last = json.value("until_last", 0.0);
  result.drain_seconds = json.value("drain_seconds", 0.0);
  result.client_cpu = json.value("client_cpu", 0.0);
  return result;
}

}  // namespace

absl::StatusOr<OverloadResult> Overload(const Options& options, const std::string& address,
                                        pid_t server, double requests_per_second,
                                        const std::string& folder,
                                        const std::string& checkpoint_folder) {
  const std::string output = JoinPath(folder, "overload.json");
  const double server_cpu = CpuSecondsOf(server);
  COPPICE_ASSIGN_OR_RETURN(
      const int code,
      RunCommand({"/proc/self/exe", "--coordinator", options.coordinator, "--overload-of", address,
                  "--overload", absl::StrCat(requests_per_second), "--overload-checkpoints",
                  checkpoint_folder, "--active", absl::StrCat(options.active), "--values",
                  absl::StrCat(options.values), "--heartbeat", absl::StrCat(options.heartbeat),
                  "--seconds", absl::StrCat(options.seconds)},
                 output));
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadFile(output));
  if (code != 0) return absl::InternalError(absl::StrCat("the overload's client: ", text));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InternalError(absl::StrCat("the overload's client: ", text));
  OverloadResult result;
  result.load = LoadFromJson(json);
  result.load.server_cpu = CpuSecondsOf(server) - server_cpu;
  for (const auto& job : json.value("completed", std::vector<uint64_t>()))
    result.acknowledged.completed.insert(job);
  for (const auto& [job, attempt] :
       json.value("open", std::vector<std::pair<uint64_t, uint64_t>>()))
    result.acknowledged.leases[job] = attempt;
  return result;
}

absl::Status OverloadMain(const Options& options) {
  Options own = options;
  own.workers = options.active;
  Fleet fleet(own, options.overload_of, "overload");
  nlohmann::json json;
  {
    Cycles cycles(own, options.overload_checkpoints, &fleet);
    COPPICE_RETURN_IF_ERROR(fleet.RegisterAll());
    fleet.StartHeartbeats();
    // `overload` is the rate here, not a multiple.
    json = ToJson(
        cycles.OpenLoop(::getpid(), kPack, options.overload, absl::Seconds(options.seconds)));
    const auto completed = cycles.completed();
    json["completed"] = std::vector<uint64_t>(completed.begin(), completed.end());
    const auto open = cycles.open_leases();
    json["open"] = std::vector<std::pair<uint64_t, uint64_t>>(open.begin(), open.end());
  }
  fleet.StopHeartbeats();
  std::printf("%s\n", json.dump().c_str());
  return absl::OkStatus();
}

}  // namespace coppice::bench
