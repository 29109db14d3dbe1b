#include "cli/report/numbers.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

// Further digits are noise of the format.
constexpr int kMaxDecimals = 12;
constexpr double kLargest = 1e15;

}  // namespace

double StandardError(const Moments& of) {
  return of.n < 2 ? 0 : of.std / std::sqrt(static_cast<double>(of.n));
}

int DecimalsFor(double error) {
  if (!(error > 0) || !std::isfinite(error)) return 0;
  int power = static_cast<int>(std::floor(std::log10(error)));
  int64_t three = std::llround(error / std::pow(10, power - 2));  // its first three digits
  if (three >= 950) {
    three = 100;
    ++power;
  }
  return std::min(kMaxDecimals, (three < 355 ? 1 : 0) - power);
}

std::string Rounded(double value, int decimals) {
  if (!(std::fabs(value) < kLargest)) return absl::StrFormat("%.3g", value);
  if (decimals < 0) {
    const double unit = std::pow(10, -decimals);
    value = std::round(value / unit) * unit;
  }
  const std::string text = absl::StrFormat("%.*f", std::max(0, decimals), std::fabs(value));
  const size_t point = std::min(text.size(), text.find('.'));
  const std::string digits =
      absl::StrCat(FormatCount(std::stoull(text.substr(0, point))), text.substr(point));
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !zero ? absl::StrCat("\u2212", digits) : digits;
}

std::string Measured(double value) {
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size >= kLargest || size < 1e-9) return absl::StrFormat("%.4g", value);
  const int power = static_cast<int>(std::floor(std::log10(size)));
  std::string text = Rounded(value, std::max(0, 3 - power));
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string MeanText(const Moments& of) {
  if (of.n == 0) return "";
  if (of.n == 1) return Measured(of.mean);
  const double error = StandardError(of);
  if (error == 0) return absl::StrCat(Measured(of.mean), " \u00b1 0");
  const int decimals = DecimalsFor(error);
  return absl::StrCat(Rounded(of.mean, decimals), " \u00b1 ", Rounded(error, decimals));
}

std::string DeviationText(const Moments& of) {
  if (of.n < 2) return "";
  return of.std == 0 ? "0" : Rounded(of.std, DecimalsFor(StandardError(of)));
}

std::string IntervalText(const Interval& interval) {
  const double half = (interval.high - interval.low) / 2;
  if (!(half > 0)) return Measured(interval.low);
  const int decimals = DecimalsFor(half);
  return absl::StrCat(Rounded(interval.low, decimals), " to ", Rounded(interval.high, decimals));
}

}  // namespace coppice::cli
