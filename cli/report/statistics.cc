#include "cli/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace coppice::cli {

Moments Summarize(const std::vector<double>& values) {
  Moments moments;
  moments.n = values.size();
  if (values.empty()) return moments;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  moments.min = *low;
  moments.max = *high;
  moments.mean = *low;
  // Equal values have no spread; the rounding of a sum would give them one.
  if (*low == *high) return moments;
  const double n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  moments.mean = sum / n;
  double squares = 0;
  for (const double value : values) squares += (value - moments.mean) * (value - moments.mean);
  moments.std = std::sqrt(squares / (n - 1));
  return moments;
}

Interval WilsonInterval(size_t successes, size_t n) {
  if (n == 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;  // two-sided 95% quantile of the normal distribution
  const double count = static_cast<double>(n);
  const double share = static_cast<double>(successes) / count;
  const double scale = 1 + kZ * kZ / count;
  const double centre = (share + kZ * kZ / (2 * count)) / scale;
  const double half =
      kZ * std::sqrt(share * (1 - share) / count + kZ * kZ / (4 * count * count)) / scale;
  // Exact at the ends, where rounding would leave 1e-17.
  return {successes == 0 ? 0 : std::max(0.0, centre - half),
          successes == n ? 1 : std::min(1.0, centre + half)};
}

std::optional<uint32_t> FirstStaysAbove(const Curve& curve, double threshold) {
  std::optional<uint32_t> first;
  for (auto point = curve.rbegin(); point != curve.rend() && point->value > threshold; ++point) {
    first = point->step;
  }
  return first;
}

std::optional<EarlyStop> StopEarly(const Curve& curve, int patience) {
  if (curve.empty()) return std::nullopt;
  EarlyStop stop;
  stop.checkpoint = curve[0].step;
  double best = curve[0].value;
  int without_rise = 0;
  for (size_t i = 1; i < curve.size(); ++i) {
    if (curve[i].value > best) {
      best = curve[i].value;
      stop.checkpoint = curve[i].step;
      without_rise = 0;
    } else if (++without_rise == patience) {
      stop.stopped = curve[i].step;
      break;
    }
  }
  return stop;
}

std::optional<double> ValueAt(const Curve& curve, uint32_t step) {
  const auto at = std::lower_bound(curve.begin(), curve.end(), step,
                                   [](const Point& point, uint32_t s) { return point.step < s; });
  if (at == curve.end() || at->step != step) return std::nullopt;
  return at->value;
}

std::vector<MeanPoint> MeanCurve(const std::vector<const Curve*>& curves) {
  std::map<uint32_t, std::vector<double>> values;
  for (const Curve* curve : curves) {
    for (const Point& point : *curve) values[point.step].push_back(point.value);
  }
  std::vector<MeanPoint> mean;
  mean.reserve(values.size());
  for (const auto& [step, of] : values) mean.push_back({step, Summarize(of)});
  return mean;
}

}  // namespace coppice::cli
