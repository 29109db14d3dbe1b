#ifndef COPPICE_CLI_REPORT_STEP_AXIS_H_
#define COPPICE_CLI_REPORT_STEP_AXIS_H_

#include <string>
#include <vector>

#include "cli/report/analysis.h"
#include "cli/report/plot.h"

namespace coppice::cli {

// The axis of training steps under a task's curves. A logarithm where the reports span a factor of
// ten or more, from the first report on. A logarithm has no 0: a report at step 0 has a place of
// its own at the left, parted by a dotted line. Linear from 0 otherwise. A value.
class StepAxis {
 public:
  explicit StepAxis(const TaskResult& task);

  bool log() const { return log_; }
  bool parts_step_0() const { return log_ && has_step_0_; }
  uint32_t first() const { return first_; }  // of the sweep's reports above 0
  uint32_t last() const { return last_; }
  // The ends of the axis, for lines from side to side.
  double low() const { return low_; }
  double high() const { return high_; }
  // Where step 0 is drawn.
  double zero() const { return zero_; }

  // Gives the panel its ticks, label and dotted line.
  void Put(Panel* panel) const;

 private:
  bool log_ = false;
  bool has_step_0_ = false;
  uint32_t first_, last_;
  double low_ = 0, high_ = 1, zero_ = 0;
};

// A caption's sentence on these tasks' axes, with a space in front.
std::string StepAxisCaption(const std::vector<const TaskResult*>& tasks);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_STEP_AXIS_H_
