#include "bench/control_plane/machine.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace coppice::bench {

std::string FilesystemOf(const std::string& folder) {
  struct statfs info = {};
  if (::statfs(folder.c_str(), &info) != 0) return "unknown";
  switch (static_cast<unsigned long>(info.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x6969:
      return "nfs";
    case 0x794c7630:
      return "overlayfs";
    default:
      return absl::StrCat("filesystem 0x", absl::Hex(static_cast<unsigned long>(info.f_type)));
  }
}

absl::StatusOr<absl::Duration> FsyncLatency(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/fsync-probe");
  const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  const std::string page(4096, 'x');
  std::vector<absl::Duration> times;
  for (int i = 0; i < 200; ++i) {
    const absl::Time start = absl::Now();
    const bool written =
        ::write(file, page.data(), page.size()) == static_cast<ssize_t>(page.size());
    if (!written || ::fsync(file) != 0) break;
    times.push_back(absl::Now() - start);
  }
  ::close(file);
  ::unlink(path.c_str());
  if (times.size() < 200) return absl::InternalError(absl::StrCat("cannot fsync ", path));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double OwnCpuSeconds() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double CpuSecondsOf(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(in, text);
  // The second field, in parentheses, may hold anything.
  const size_t close = text.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream rest(text.substr(close + 1));
  std::string field;
  double ticks = 0;
  for (int number = 3; rest >> field && number <= 15; ++number) {
    if (number >= 14) ticks += std::stod(field);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Memory MemoryOf(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/status"));
  Memory memory;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    uint64_t kib = 0;
    words >> key >> kib;
    if (key == "VmRSS:") memory.now = kib << 10;
    if (key == "VmHWM:") memory.peak = kib << 10;
  }
  return memory;
}

double Latencies::Quantile(double share) const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  const size_t index = std::min(sorted.size() - 1, rank == 0 ? 0 : rank - 1);
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(index), sorted.end());
  return sorted[index];
}

}  // namespace coppice::bench
