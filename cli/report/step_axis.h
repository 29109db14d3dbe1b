#ifndef COPPICE_CLI_REPORT_STEP_AXIS_H_
#define COPPICE_CLI_REPORT_STEP_AXIS_H_

#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/plot.h"

namespace coppice::cli {

// The axis of training steps under a task's curves. It is logarithmic from the first report on if
// the reports span a factor of ten or more, otherwise linear from 0. A logarithm has no 0, so a
// report at step 0 has a place of its own at the left, separated by a dotted line. A value type.
class StepAxis {
 public:
  explicit StepAxis(const TaskResult& task);

  bool log() const { return log_; }
  bool parts_step_0() const { return log_ && has_step_0_; }
  uint32_t first() const { return first_; }  // first report above step 0
  uint32_t last() const { return last_; }
  // The ends of the axis, for lines that span it.
  double low() const { return low_; }
  double high() const { return high_; }
  // The position of step 0.
  double zero() const { return zero_; }

  // Gives the panel its ticks, label and dotted line.
  void Put(Panel* panel) const;

 private:
  bool log_ = false;
  bool has_step_0_ = false;
  uint32_t first_, last_;
  double low_ = 0, high_ = 1, zero_ = 0;
};

// A caption's sentence on these tasks' axes. Begins with a space.
std::string StepAxisCaption(const std::vector<const TaskResult*>& tasks);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_STEP_AXIS_H_
