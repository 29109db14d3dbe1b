#ifndef COPPICE_CLI_PLAN_VIEW_H_
#define COPPICE_CLI_PLAN_VIEW_H_

#include <string>
#include <vector>

#include "cli/terminal.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "12 jobs in 6 packs of up to 2 seeds, 3.6k steps".
std::string PlanSentence(const v1::Plan& plan);

// "7.9e15 multiply-adds, about 9 days on one CPU core at 1e+10 a second"
std::string WorkText(double work);

// The whole plan of a dry run: jobs and packs, expected work, the axes and the settings that they
// set, a row per group (many points are summed over their innermost axes), and each setting with
// its groups.
std::vector<std::string> PlanLines(const v1::SweepSpec& spec, const v1::Plan& plan,
                                   const Terminal& terminal);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_PLAN_VIEW_H_
