#include "cli/report/step_axis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

// Steps are drawn as logarithms if the last report is at least this many times the first.
constexpr double kLogSpan = 10;
// Fractions of the axis: the free part at each end, and the part from step 0 to the first report.
constexpr double kMargin = 0.02;
constexpr double kGap = 0.12;

}  // namespace

StepAxis::StepAxis(const TaskResult& task)
    : has_step_0_(task.has_step_0), first_(task.first_step), last_(task.last_step) {
  high_ = std::max<uint32_t>(1, last_);
  const double span = first_ == 0 ? 1 : static_cast<double>(last_) / first_;
  log_ = span >= kLogSpan;
  if (!log_) return;
  high_ = last_ * std::pow(span, kMargin);
  zero_ = first_ * std::pow(span, -kGap);
  low_ = (has_step_0_ ? zero_ : first_) * std::pow(span, -kMargin);
}

void StepAxis::Put(Panel* panel) const {
  panel->x_label = log_ ? "training step (log)" : "training step";
  if (!log_) {
    panel->x = StepTicks(last_, 4);
    return;
  }
  panel->x = LogTicks(low_, high_, [](double value) {
    return FormatSteps(static_cast<uint64_t>(std::llround(value)));
  });
  if (!has_step_0_) return;
  // The axis has no meaning between step 0 and the first report.
  const auto before = [&](double value) { return value < first_ * (1 - 1e-9); };
  auto& minors = panel->x.minors;
  minors.erase(std::remove_if(minors.begin(), minors.end(), before), minors.end());
  auto& marks = panel->x.marks;
  marks.erase(std::remove_if(marks.begin(), marks.end(),
                             [&](const auto& mark) { return before(mark.first); }),
              marks.end());
  marks.emplace(marks.begin(), zero_, "0");
  panel->extras.push_back(absl::StrFormat(
      "set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead back lw 0.6 dt "
      "(1.5*D,2*D) lc rgb '%s'",
      std::sqrt(zero_ * first_), std::sqrt(zero_ * first_), colour::kFaint));
}

std::string StepAxisCaption(const std::vector<const TaskResult*>& tasks) {
  size_t logs = 0;
  bool parted = false;
  for (const TaskResult* task : tasks) {
    const StepAxis axis(*task);
    logs += axis.log();
    parted |= axis.parts_step_0();
  }
  if (logs == 0) return " Steps are on a linear axis: the reports span less than a factor of ten.";
  return absl::StrCat(
      logs == tasks.size() ? " Steps are on a log axis"
                           : " Steps are on a log axis where a task's reports span a factor of ten "
                             "or more, on a linear one elsewhere",
      parted ? ". A log axis has no 0: reports at step 0 are the points left of the dotted line."
             : ", which begins at the first report; nothing was reported at step 0.");
}

}  // namespace coppice::cli
