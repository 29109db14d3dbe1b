#include "worker/daemon/machine.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/files.h"

namespace coppice::worker {
namespace {

// Returns the value after the first "key : " in a file of /proc; empty if there is none.
std::string ValueIn(const std::string& path, absl::string_view key) {
  const auto text = ReadFile(path);
  if (!text.ok()) return "";
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::ConsumePrefix(&line, key)) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, ":")) return std::string(absl::StripAsciiWhitespace(line));
  }
  return "";
}

}  // namespace

Machine DescribeMachine(const std::string& root) {
  Machine machine;
  // The second path is the GPU that Windows lends to Linux.
  machine.gpu = FileExists(root + "/dev/nvidiactl") || FileExists(root + "/dev/dxg");
  machine.processor = absl::StrCat(ValueIn(root + "/proc/cpuinfo", "model name"), ", ",
                                   std::max(1u, std::thread::hardware_concurrency()), " cores");
  machine.name = machine.processor;
  const std::string folder = root + "/proc/driver/nvidia/gpus";
  const auto gpus = ListDirectory(folder);
  if (gpus.ok()) {
    for (const std::string& gpu : *gpus) {
      absl::StrAppend(&machine.name, ", ", ValueIn(folder + "/" + gpu + "/information", "Model"));
    }
  }
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"); machine.gpu && visible) {
    absl::StrAppend(&machine.name, ", of which visible: ", visible);
  }
  return machine;
}

}  // namespace coppice::worker
