#include "coordinator/store/pool_json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace coppice::store {
namespace {

using nlohmann::json;

// Calls `visit(name, member)` for each setting.
template <typename Spec, typename Visit>
void ForEachSetting(Spec& spec, Visit&& visit) {
  visit("partition", spec.partition);
  visit("account", spec.account);
  visit("qos", spec.qos);
  visit("gres", spec.gres);
  visit("constraint", spec.constraint);
  visit("cluster", spec.cluster);
  visit("gpus", spec.gpus);
  visit("cpus", spec.cpus);
  visit("memory_mib", spec.memory_mib);
  visit("max_workers", spec.max_workers);
  visit("backlog", spec.backlog);
  visit("submits_a_minute", spec.submits_a_minute);
  visit("min_walltime_s", spec.min_walltime_s);
  visit("max_walltime_s", spec.max_walltime_s);
  visit("time_min_s", spec.time_min_s);
  visit("gpu_hours_a_day", spec.gpu_hours_a_day);
  visit("gpu_hours_a_sweep", spec.gpu_hours_a_sweep);
  visit("nice", spec.nice);
  visit("rank", spec.rank);
  visit("wait_before_s", spec.wait_before_s);
  visit("idle_exit_s", spec.idle_exit_s);
  visit("grace_s", spec.grace_s);
  visit("slots", spec.slots);
  visit("pack", spec.pack);
  visit("worker", spec.worker);
  visit("access_file", spec.access_file);
  visit("log_dir", spec.log_dir);
  visit("worker_flags", spec.worker_flags);
  visit("sbatch_flags", spec.sbatch_flags);
  visit("target", spec.target);
  visit("has_target", spec.has_target);
  visit("watch_only", spec.watch_only);
}

// Bytes that are no UTF-8 are replaced: text of a batch system must not keep a row from being
// stored.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::Status Unreadable(absl::string_view what, absl::string_view why) {
  return absl::InternalError(absl::StrCat("the database has ", what,
                                          " of a pool that this version ", "cannot read: ", why));
}

}  // namespace

std::string SettingsToJson(const pools::PoolSpec& spec) {
  json settings = json::object();
  ForEachSetting(spec, [&](const char* name, const auto& value) { settings[name] = value; });
  return Dump(settings);
}

absl::Status SettingsFromJson(const std::string& text, pools::PoolSpec* spec) {
  try {
    json settings = json::parse(text);
    if (!settings.is_object()) return Unreadable("settings", "they are not an object");
    ForEachSetting(*spec, [&](const char* name, auto& value) {
      if (const auto found = settings.find(name); found != settings.end()) {
        found->get_to(value);
        settings.erase(found);
      }
    });
    if (settings.empty()) return absl::OkStatus();
    return Unreadable("settings", absl::StrCat("'", settings.begin().key(), "' is unknown"));
  } catch (const json::exception& error) {
    return Unreadable("settings", error.what());
  }
}

std::string ExcludedToJson(const std::vector<pools::ExcludedNode>& nodes) {
  json list = json::array();
  for (const pools::ExcludedNode& node : nodes) {
    list.push_back({{"node", node.node}, {"until_ms", node.until_ms}, {"why", node.why}});
  }
  return Dump(list);
}

absl::Status ExcludedFromJson(const std::string& text, std::vector<pools::ExcludedNode>* nodes) {
  try {
    for (const json& entry : json::parse(text)) {
      nodes->push_back({entry.at("node").get<std::string>(), entry.at("until_ms").get<int64_t>(),
                        entry.at("why").get<std::string>()});
    }
    return absl::OkStatus();
  } catch (const json::exception& error) {
    return Unreadable("excluded nodes", error.what());
  }
}

std::string SweepUseToJson(const std::vector<pools::SweepUse>& uses) {
  json list = json::array();
  for (const pools::SweepUse& use : uses) {
    list.push_back({{"id", use.sweep_id},
                    {"created_ms", use.created_ms},
                    {"name", use.name},
                    {"gpu_seconds", use.gpu_seconds}});
  }
  return Dump(list);
}

absl::Status SweepUseFromJson(const std::string& text, std::vector<pools::SweepUse>* uses) {
  try {
    for (const json& entry : json::parse(text)) {
      uses->push_back({entry.at("id").get<uint64_t>(), entry.at("created_ms").get<int64_t>(),
                       entry.at("name").get<std::string>(), entry.at("gpu_seconds").get<double>()});
    }
    return absl::OkStatus();
  } catch (const json::exception& error) {
    return Unreadable("GPU time of sweeps", error.what());
  }
}

}  // namespace coppice::store
