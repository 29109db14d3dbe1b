// Whether the kernel has killed a process for want of memory.
#ifndef COPPICE_WORKER_DAEMON_OOM_KILLS_H_
#define COPPICE_WORKER_DAEMON_OOM_KILLS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace coppice::worker {

// How many processes the kernel has killed for want of memory since it started: of the whole
// machine, in whatever control group. Empty where it does not say (before Linux 4.13).
std::optional<uint64_t> OomKills();

// The same from the text of /proc/vmstat.
std::optional<uint64_t> OomKillsOf(absl::string_view vmstat);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_OOM_KILLS_H_
