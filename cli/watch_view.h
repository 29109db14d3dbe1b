// A sweep on a terminal of any size: the totals, the ETA and what failed are always in sight, the
// rest takes the room that is left.
#ifndef COPPICE_CLI_WATCH_VIEW_H_
#define COPPICE_CLI_WATCH_VIEW_H_

#include <cstddef>
#include <string>
#include <vector>

#include "cli/sweep_model.h"
#include "cli/terminal.h"

namespace coppice::cli {

// At most terminal.height - 1 lines (the cursor needs one), none wider than the terminal; no limit
// where the terminal has none. What does not fit is shown in the first of these forms that does: a
// cell per job as in StatusLines; a symbol per job and a line per task and depth; those lines page
// by page, of which `page` (counted on by the caller, for ever) says which. The last page is
// followed by the first.
std::vector<std::string> WatchLines(const SweepModel& model, const Terminal& terminal, size_t page);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_WATCH_VIEW_H_
