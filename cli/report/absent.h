#ifndef COPPICE_CLI_REPORT_ABSENT_H_
#define COPPICE_CLI_REPORT_ABSENT_H_

#include <string>
#include <vector>

#include "cli/report/series.h"

namespace coppice::cli {

// Why no job of `task` that counts has any of `metrics`, and the setting or command that gets them:
// a sentence that begins with the task's name. `metrics` are not empty.
std::string WhyAbsent(const SweepSeries& series, const std::string& task,
                      const std::vector<Metric>& metrics);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_ABSENT_H_
