#include "coordinator/commands/shutdown_watchdog.h"

#include <unistd.h>

#include "absl/time/time.h"
#include "common/base/logging.h"

namespace coppice::commands {

ShutdownWatchdog::ShutdownWatchdog(Clock* clock, absl::Duration limit,
                                   const std::string& checkpoint_root)
    : clock_(*clock), timer_(clock->Schedule(limit, [limit, checkpoint_root] {
        spdlog::error(
            "the checkpoint folder {} does not answer for {}; ending without it. Nothing that was "
            "acknowledged is lost; what could not be removed is removed after the next start",
            checkpoint_root, absl::FormatDuration(limit));
        spdlog::default_logger()->flush();
        ::_exit(1);
      })) {}

ShutdownWatchdog::~ShutdownWatchdog() { clock_.Cancel(timer_); }

}  // namespace coppice::commands
