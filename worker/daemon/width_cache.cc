#include "worker/daemon/width_cache.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

// Each entry is a width and a few numbers.
constexpr uint64_t kMaxCacheBytes = 1 << 20;

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

}  // namespace

std::string WidthKey::Text() const {
  const Json json = {{"format", kFormat},  {"version", COPPICE_VERSION}, {"trainer", trainer},
                     {"machine", machine}, {"threads", threads},         {"widest", widest},
                     {"kind", kind}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string TrainerIdentity(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) return "";
  return absl::StrCat(path, " ", found.st_size, " bytes of ", found.st_mtim.tv_sec, ".",
                      found.st_mtim.tv_nsec);
}

std::string WidthCache::PathOf(const WidthKey& key) const {
  const std::string text = key.Text();
  return JoinPath(folder_, DigestOf(text.data(), text.size()) + ".json");
}

absl::StatusOr<std::vector<MeasuredWidth>> WidthCache::Read(const WidthKey& key) const {
  const std::string path = PathOf(key);
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(path, kMaxCacheBytes));
  const auto damaged = [&](const auto&... what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what...));
  };
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("key") || !json.contains("measured")) {
    return damaged("is not what was measured of a width");
  }
  if (json["key"] != key.Text()) return damaged("is of another device, program or kind of job");
  if (!json["measured"].is_array() || json["measured"].empty()) return damaged("holds no width");
  std::vector<MeasuredWidth> measured;
  for (const auto& entry : json["measured"]) {
    auto one = WidthFromJson(entry, key.widest);
    if (!one.ok()) return damaged(one.status().message());
    measured.push_back(*one);
  }
  return measured;
}

absl::Status WidthCache::Write(const WidthKey& key,
                               const std::vector<MeasuredWidth>& measured) const {
  Json entries = Json::array();
  for (const MeasuredWidth& one : measured) {
    entries.push_back({{"width", one.width},
                       {"seed_steps_per_second", one.seed_steps_per_second},
                       {"peak_bytes", one.peak_bytes}});
  }
  const Json json = {{"key", key.Text()}, {"measured", std::move(entries)}};
  return WriteFileAtomically(PathOf(key), json.dump(1) + "\n");
}

}  // namespace coppice::worker
