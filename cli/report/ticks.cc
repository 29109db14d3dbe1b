#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "cli/report/plot.h"

namespace coppice::cli {
namespace {

// Returns the round step (1, 2 or 5 times a power of ten) that divides `range` into about `count`
// parts.
double RoundStep(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::string GnuplotText(absl::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "''";
    else
      quoted.push_back(absl::ascii_iscntrl(static_cast<unsigned char>(c)) ? ' ' : c);
  }
  return quoted + "'";
}

std::string Faded(absl::string_view colour, double visible) {
  // gnuplot's first byte is the transparency.
  return absl::StrFormat("#%02X%s", static_cast<int>(std::lround(255 * (1 - visible))),
                         colour.substr(1));
}

Ticks StepTicks(uint32_t last, int count) {
  Ticks ticks;
  ticks.high = last == 0 ? 1 : last;
  const double step = std::max(1.0, RoundStep(ticks.high, count));
  for (int i = 0; i * step <= ticks.high * 1.0001; ++i) {
    ticks.marks.emplace_back(i * step, FormatSteps(static_cast<uint64_t>(std::llround(i * step))));
  }
  return ticks;
}

Ticks LogTicks(double low, double high, const std::function<std::string(double)>& label) {
  Ticks ticks;
  ticks.log = true;
  ticks.low = low;
  ticks.high = high;
  const double decades = std::log10(high / low);
  const int every = std::max(1, static_cast<int>(std::ceil(decades / 6)));  // powers per label
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
  for (int power = first; power <= last; ++power) {
    for (int factor = 1; factor < 10; ++factor) {
      const double value = factor * std::pow(10, power);
      if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
      const bool labelled = factor == 1                  ? power % every == 0
                            : factor == 3                ? decades < 2.6 && decades >= 1.3
                            : factor == 2 || factor == 5 ? decades < 1.3
                                                         : false;
      if (labelled)
        ticks.marks.emplace_back(value, label(value));
      else if (every == 1 || factor == 1)
        ticks.minors.push_back(value);
    }
  }
  return ticks;
}

Ticks LogValueTicks(double low, double high) {
  return LogTicks(low, high, [](double value) { return absl::StrFormat("%.6g", value); });
}

Ticks ValueTicks(double low, double high, int count) {
  // There is one value, or values that differ only by rounding.
  const double size = std::max({1e-9, std::fabs(low), std::fabs(high)});
  if (!(high - low > 1e-3 * size)) {
    low -= 0.05 * size;
    high += 0.05 * size;
  }
  const double step = RoundStep(high - low, count);
  Ticks ticks;
  ticks.low = std::floor(low / step + 1e-6) * step;
  ticks.high = std::ceil(high / step - 1e-6) * step;
  const int64_t steps = std::llround((ticks.high - ticks.low) / step);
  for (int64_t i = 0; i <= steps; ++i) {
    const double value = (std::llround(ticks.low / step) + i) * step;
    // A true minus sign is as wide as a digit.
    ticks.marks.emplace_back(
        value, absl::StrFormat("%s%.6g", value < 0 ? "\u2212" : "", std::fabs(value)));
  }
  return ticks;
}

Ticks UnitTicks() {
  Ticks ticks = ValueTicks(0, 1, 5);
  ticks.low = -0.02;
  ticks.high = 1.02;
  return ticks;
}

Ticks CategoryTicks(const std::vector<std::string>& labels) {
  Ticks ticks;
  for (size_t i = 0; i < labels.size(); ++i) {
    ticks.marks.emplace_back(static_cast<double>(i), labels[i]);
  }
  ticks.low = -0.5;
  ticks.high = static_cast<double>(std::max<size_t>(1, labels.size())) - 0.5;
  return ticks;
}

}  // namespace coppice::cli
