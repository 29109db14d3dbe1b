#include "worker/daemon/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/files.h"

namespace coppice::worker {
namespace {

constexpr int kMaxCores = 1 << 16;

uint32_t CoresOfAffinity() {
  // The kernel refuses a set that is smaller than its own.
  for (int cores = CPU_SETSIZE; cores <= kMaxCores; cores *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(cores);
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(
        CPU_ALLOC(cores), [](cpu_set_t* memory) { CPU_FREE(memory); });
    if (set && ::sched_getaffinity(0, bytes, set.get()) == 0) {
      return static_cast<uint32_t>(CPU_COUNT_S(bytes, set.get()));
    }
  }
  return std::thread::hardware_concurrency();
}

std::optional<double> NumberIn(const std::string& path) {
  const auto text = ReadFile(path);
  double value = 0;
  if (!text.ok() || !absl::SimpleAtod(absl::StripAsciiWhitespace(*text), &value)) {
    return std::nullopt;
  }
  return value;
}

// The quota of one group of version 2: "max 100000" or "150000 100000".
std::optional<double> QuotaOf2(const std::string& folder) {
  const auto text = ReadFile(JoinPath(folder, "cpu.max"));
  if (!text.ok()) return std::nullopt;
  const std::vector<std::string> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(*text), ' ', absl::SkipEmpty());
  double quota = 0;
  double period = 0;
  if (parts.size() != 2 || !absl::SimpleAtod(parts[0], &quota) ||
      !absl::SimpleAtod(parts[1], &period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return quota / period;
}

std::optional<double> QuotaOf1(const std::string& folder) {
  const auto quota = NumberIn(JoinPath(folder, "cpu.cfs_quota_us"));
  const auto period = NumberIn(JoinPath(folder, "cpu.cfs_period_us"));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

// The smallest quota of the group and of those around it. `group` is absolute. A container may see
// its own group as the root, or under the name that it has outside. So the root always counts too.
template <typename Quota>
std::optional<double> Smallest(const std::string& mount, std::string group, Quota quota_of) {
  std::optional<double> smallest;
  for (;;) {
    const auto quota = quota_of(mount + group);
    if (quota && (!smallest || *quota < *smallest)) smallest = quota;
    if (group.empty() || group == "/") return smallest;
    group.resize(group.rfind('/'));
  }
}

std::optional<double> QuotaOfGroups(const std::string& root) {
  const auto text = ReadFile(root + "/proc/self/cgroup");
  if (!text.ok()) return std::nullopt;
  std::optional<double> smallest;
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    // "0::/a/b" is version 2, "4:cpu,cpuacct:/a/b" version 1.
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !absl::StartsWith(parts[2], "/") ||
        absl::StrContains(parts[2], "..")) {
      continue;
    }
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const std::string mount = root + "/sys/fs/cgroup";
    std::optional<double> quota;
    if (parts[1].empty()) {
      quota = Smallest(mount, parts[2], &QuotaOf2);
    } else if (std::find(controllers.begin(), controllers.end(), "cpu") != controllers.end()) {
      quota = Smallest(absl::StrCat(mount, "/", parts[1]), parts[2], &QuotaOf1);
      if (!quota) quota = Smallest(mount + "/cpu", parts[2], &QuotaOf1);
    }
    if (quota && (!smallest || *quota < *smallest)) smallest = quota;
  }
  return smallest;
}

}  // namespace

UsableCpus CountCpus(const EnvironmentLookup& env, const Allocation& allocation,
                     const std::string& root) {
  UsableCpus cpus = {std::max(1u, CoresOfAffinity()), "affinity"};
  const auto limit = [&](uint32_t count, const std::string& source) {
    if (count < 1 || count >= cpus.count) return;
    cpus = {count, source};
  };
  if (allocation.system == "slurm") {
    // Of the batch script's node, so it says nothing about one of several tasks there.
    const char* tasks = env("SLURM_NTASKS");
    const bool alone = tasks == nullptr || absl::string_view(tasks) == "1";
    for (const char* name : {"SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"}) {
      const char* text = env(name);
      uint32_t count = 0;
      if (text == nullptr || !absl::SimpleAtoi(text, &count) || count < 1) continue;
      if (absl::string_view(name) == "SLURM_CPUS_PER_TASK" || alone) limit(count, name);
      break;
    }
  }
  if (const auto quota = QuotaOfGroups(root)) {
    limit(static_cast<uint32_t>(std::max(1.0, std::floor(std::min(*quota, 1e6)))),
          "the control group's quota");
  }
  return cpus;
}

}  // namespace coppice::worker
