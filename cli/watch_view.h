// A sweep on a terminal of any size. The totals, the ETA and the failures are always visible; the
// remaining room goes to the jobs.
#ifndef COPPICE_CLI_WATCH_VIEW_H_
#define COPPICE_CLI_WATCH_VIEW_H_

#include <cstddef>
#include <string>
#include <vector>

#include "cli/sweep_model.h"
#include "cli/terminal.h"

namespace coppice::cli {

// Returns at most terminal.height - 1 lines (the cursor needs one), none wider than the terminal.
// There is no limit if the terminal has none. The jobs are shown in the first of these forms that
// fits: a cell per job as in StatusLines; a symbol per job and a line per task and depth; those
// lines page by page. `page` is a counter that the caller increments forever; after the last page
// comes the first.
std::vector<std::string> WatchLines(const SweepModel& model, const Terminal& terminal, size_t page);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_WATCH_VIEW_H_
