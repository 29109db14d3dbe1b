#include "bench/report/machine.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace coppice::bench {
namespace {

std::string CpuModel() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() == 2 && absl::StartsWith(parts[0], "model name"))
      return std::string(absl::StripAsciiWhitespace(parts[1]));
  }
  return "unknown CPU";
}

std::string FirstLine(const std::string& command) {
  std::array<char, 200> line = {};
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  const bool read = std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr;
  ::pclose(pipe);
  return read ? std::string(absl::StripAsciiWhitespace(line.data())) : "";
}

}  // namespace

std::string MachineName() {
  return absl::StrCat(std::thread::hardware_concurrency(), " cores, ", CpuModel());
}

std::string DescribeMachine() {
  std::array<double, 1> load = {};
  ::getloadavg(load.data(), 1);
  const std::string commit = FirstLine("git describe --always --dirty 2>/dev/null");
  return absl::StrCat(MachineName(), ", load ", std::round(load[0] * 10) / 10, "; version ",
                      COPPICE_VERSION, commit.empty() ? "" : absl::StrCat(" (", commit, ")"));
}

}  // namespace coppice::bench
