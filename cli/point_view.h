// The tables of a sweep that has axes of its own.
#ifndef COPPICE_CLI_POINT_VIEW_H_
#define COPPICE_CLI_POINT_VIEW_H_

#include <string>
#include <vector>

#include "cli/sweep_model.h"
#include "cli/terminal.h"

namespace coppice::cli {

// A row per point. The innermost axes are columns as far as they take half a line; a table of its
// own for each combination of the others. Up to 20 seeds there is a cell per job, beyond that the
// row has counts and means. More than 400 points are summed over their innermost axes.
std::vector<std::string> PointLines(const SweepModel& model, const Terminal& terminal);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_POINT_VIEW_H_
