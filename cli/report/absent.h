#ifndef COPPICE_CLI_REPORT_ABSENT_H_
#define COPPICE_CLI_REPORT_ABSENT_H_

#include <string>
#include <vector>

#include "cli/report/series.h"

namespace coppice::cli {

// Returns a sentence that begins with the task's name. It says why no counted job of `task` has any
// of `metrics` (which are not empty), and names the setting or command that provides them.
std::string WhyAbsent(const SweepSeries& series, const std::string& task,
                      const std::vector<Metric>& metrics);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_ABSENT_H_
