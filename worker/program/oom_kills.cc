#include "worker/program/oom_kills.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"

namespace coppice::worker {

std::optional<uint64_t> OomKills() {
  const auto vmstat = ReadFile("/proc/vmstat");
  if (!vmstat.ok()) return std::nullopt;
  return OomKillsOf(*vmstat);
}

std::optional<uint64_t> OomKillsOf(absl::string_view vmstat) {
  for (const absl::string_view line : absl::StrSplit(vmstat, '\n')) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    uint64_t kills = 0;
    if (entry.first == "oom_kill" && absl::SimpleAtoi(entry.second, &kills)) return kills;
  }
  return std::nullopt;
}

}  // namespace coppice::worker
