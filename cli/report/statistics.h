// The statistics of a report: pure functions of curves.
#ifndef COPPICE_CLI_REPORT_STATISTICS_H_
#define COPPICE_CLI_REPORT_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace coppice::cli {

struct Point {
  uint32_t step;
  double value;
};
// One metric of one job, steps ascending.
using Curve = std::vector<Point>;

// Accuracy strictly above this counts as generalizing.
inline constexpr double kGeneralizes = 0.8;
// Early stopping: a run is stopped after this many reports without a rise of in-domain accuracy.
inline constexpr int kPatience = 5;

struct Moments {
  size_t n = 0;
  double mean = 0;  // 0 when n is 0
  double std = 0;   // sample standard deviation (n - 1); 0 below two values
  double min = 0;
  double max = 0;
};
Moments Summarize(const std::vector<double>& values);

struct Interval {
  double low;
  double high;
};
// The 95% score interval of a share: E. B. Wilson, Probable inference, the law of succession, and
// statistical inference, JASA 22 (1927) 209-212. [0, 1] for n = 0.
Interval WilsonInterval(size_t successes, size_t n);

// The first step from which the curve stays above `threshold` to its end. None if it ends at or
// below.
std::optional<uint32_t> FirstStaysAbove(const Curve& curve, double threshold);

struct EarlyStop {
  std::optional<uint32_t>
      stopped;              // the report at which training ends; none: patience never ran out
  uint32_t checkpoint = 0;  // the earliest best report until then
};
// Stops when the value has not risen above its best for `patience` reports in a row. None for an
// empty curve.
std::optional<EarlyStop> StopEarly(const Curve& curve, int patience);

std::optional<double> ValueAt(const Curve& curve, uint32_t step);

struct MeanPoint {
  uint32_t step;
  Moments of;
};
// The mean at every step of any curve, over the curves that have a value there.
std::vector<MeanPoint> MeanCurve(const std::vector<const Curve*>& curves);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_STATISTICS_H_
