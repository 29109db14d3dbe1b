#include "worker/program/exit_text.h"

#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace coppice::worker {

std::string DescribeExit(const ProcessExit& exit) {
  if (!exit.spawn.ok()) return absl::StrCat("did not start (", exit.spawn.message(), ")");
  if (exit.signal != 0) {
    const char* name = ::sigabbrev_np(exit.signal);
    std::string text = name == nullptr ? absl::StrCat("was killed by signal ", exit.signal)
                                       : absl::StrCat("was killed by SIG", name);
    if (exit.out_of_memory) text += " (by the kernel, for want of memory)";
    return text;
  }
  switch (exit.code) {
    case kTrainerExitUsage:
      return "exited with code 2 (it could not start; its log says why)";
    case kTrainerExitPreempted:
      return "exited with code 75 (preempted)";
    case 127:
      return "exited with code 127 (a shared library it needs may be missing)";
    default:
      return absl::StrCat("exited with code ", exit.code);
  }
}

}  // namespace coppice::worker
