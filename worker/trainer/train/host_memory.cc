#include "worker/trainer/train/host_memory.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace coppice::trainer {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::optional<int64_t> NumberIn(const std::string& path) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(Contents(path)), &number)) return std::nullopt;
  return number;
}

// The number after "key " on a line of its own; 0 if there is none.
int64_t CountIn(const std::string& path, absl::string_view key) {
  const std::string text = Contents(path);
  int64_t count = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool found = absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ");
    if (found && absl::SimpleAtoi(line, &count)) return count;
  }
  return 0;
}

}  // namespace

std::optional<int64_t> BytesOfLine(absl::string_view file, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(file, '\n')) {
    if (!absl::ConsumePrefix(&line, key) || !absl::ConsumePrefix(&line, ":")) continue;
    line = absl::StripAsciiWhitespace(line);
    int64_t kilobytes = 0;
    if (!absl::ConsumeSuffix(&line, " kB") || !absl::SimpleAtoi(line, &kilobytes)) break;
    return kilobytes * 1024;
  }
  return std::nullopt;
}

int64_t ResidentBytes() { return BytesOfLine(Contents("/proc/self/status"), "VmRSS").value_or(0); }

int64_t PeakResidentBytes() {
  return BytesOfLine(Contents("/proc/self/status"), "VmHWM").value_or(0);
}

void ResetPeakResidentBytes() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::optional<int64_t> LeftOfGroups(const std::string& root, absl::string_view membership) {
  std::optional<int64_t> least;
  for (absl::string_view line : absl::StrSplit(membership, '\n')) {
    if (!absl::ConsumePrefix(&line, "0::/")) continue;
    std::string group = absl::StrCat(root, "/", line);
    while (group.size() >= root.size()) {
      const auto limit = NumberIn(absl::StrCat(group, "/memory.max"));
      const auto used = NumberIn(absl::StrCat(group, "/memory.current"));
      if (limit.has_value() && used.has_value()) {
        // The kernel frees cached copies of unused files before memory runs out.
        const int64_t needed =
            *used - CountIn(absl::StrCat(group, "/memory.stat"), "inactive_file");
        const int64_t left = std::max<int64_t>(*limit - needed, 0);
        least = std::min(least.value_or(left), left);
      }
      group.resize(group.rfind('/'));
    }
  }
  return least;
}

std::optional<int64_t> AvailableBytes() {
  const auto machine = BytesOfLine(Contents("/proc/meminfo"), "MemAvailable");
  const auto groups = LeftOfGroups("/sys/fs/cgroup", Contents("/proc/self/cgroup"));
  if (!machine.has_value() || !groups.has_value()) return machine.has_value() ? machine : groups;
  return std::min(*machine, *groups);
}

MemoryMeter& HostMemory() {
  class Meter : public MemoryMeter {
   public:
    int64_t HeldBytes() const override { return ResidentBytes(); }
    int64_t PeakBytes() const override { return PeakResidentBytes(); }
    void ResetPeak() override { ResetPeakResidentBytes(); }
    std::optional<int64_t> AvailableBytes() const override { return trainer::AvailableBytes(); }
  };
  static Meter meter;
  return meter;
}

}  // namespace coppice::trainer
