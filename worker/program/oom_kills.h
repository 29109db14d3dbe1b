// The kernel's count of processes that it killed because memory ran out.
#ifndef COPPICE_WORKER_PROGRAM_OOM_KILLS_H_
#define COPPICE_WORKER_PROGRAM_OOM_KILLS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace coppice::worker {

// Returns the number of these kills since boot, over the whole machine and all control groups.
// Empty if the kernel does not report it (before Linux 4.13).
std::optional<uint64_t> OomKills();

// Reads the count from the text of /proc/vmstat.
std::optional<uint64_t> OomKillsOf(absl::string_view vmstat);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_PROGRAM_OOM_KILLS_H_
