#include "cli/report/comparison.h"

#include <algorithm>
#include <cmath>

namespace coppice::cli {
namespace {

// The continued fraction of I_x(a, b), by Lentz's method.
double BetaFraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  const auto nonzero = [](double value) { return std::fabs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / nonzero(1 - (a + b) * x / (a + 1));
  double fraction = d;
  for (int m = 1; m <= 10'000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 / nonzero(1 + term * d);
      c = nonzero(1 + term / c);
      change = c * d;
      fraction *= change;
    }
    if (std::fabs(change - 1) < 1e-15) break;
  }
  return fraction;
}

// I_x(a, b), the regularized incomplete beta function.
double IncompleteBeta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front = std::exp(a * std::log(x) + b * std::log1p(-x) + std::lgamma(a + b) -
                                std::lgamma(a) - std::lgamma(b));
  // The fraction converges fast on this side. The other side is its mirror image.
  if (x < (a + 1) / (a + b + 2)) return front * BetaFraction(x, a, b) / a;
  return 1 - front * BetaFraction(1 - x, b, a) / b;
}

double SquaredError(const Moments& of) { return of.std * of.std / static_cast<double>(of.n); }

std::optional<size_t> Highest(const std::vector<Moments>& groups, size_t at_least) {
  std::optional<size_t> highest;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].n < at_least) continue;
    if (!highest.has_value() || groups[i].mean > groups[*highest].mean) highest = i;
  }
  return highest;
}

}  // namespace

double StudentTwoSided(double t, double df) {
  return IncompleteBeta(df / (df + t * t), df / 2, 0.5);
}

double StudentQuantile(double p, double df) {
  double low = 0, high = 1;
  while (StudentTwoSided(high, df) > p && high < 1e150) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (StudentTwoSided(middle, df) > p ? low : high) = middle;
  }
  return high;
}

std::optional<Difference> WelchDifference(const Moments& a, const Moments& b, double error) {
  if (a.n < 2 || b.n < 2) return std::nullopt;
  const double va = SquaredError(a), vb = SquaredError(b);
  const double mean = a.mean - b.mean;
  if (va + vb == 0) return Difference{mean, {mean, mean}, mean != 0};
  const double df =
      (va + vb) * (va + vb) /
      (va * va / static_cast<double>(a.n - 1) + vb * vb / static_cast<double>(b.n - 1));
  const double half = StudentQuantile(error, df) * std::sqrt(va + vb);
  return Difference{mean, {mean - half, mean + half}, std::fabs(mean) > half};
}

const char* VerdictWord(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNoValues:
      return "";
    case Verdict::kOnly:
      return "only depth";
    case Verdict::kOneSeed:
      return "one seed";
    case Verdict::kBest:
      return "best";
    case Verdict::kTied:
      return "not told apart";
    case Verdict::kLower:
      return "lower";
  }
  return "";
}

std::optional<size_t> Ranking::best() const {
  const auto found = std::find(verdicts.begin(), verdicts.end(), Verdict::kBest);
  if (found == verdicts.end()) return std::nullopt;
  return found - verdicts.begin();
}

Ranking Rank(const std::vector<Moments>& groups) {
  Ranking ranking;
  ranking.verdicts.assign(groups.size(), Verdict::kNoValues);
  ranking.differences.resize(groups.size());
  ranking.highest = Highest(groups, 2);
  if (!ranking.highest.has_value()) ranking.highest = Highest(groups, 1);
  if (!ranking.highest.has_value()) return ranking;
  const auto with = [&](size_t n) {
    return std::count_if(groups.begin(), groups.end(), [n](const Moments& g) { return g.n >= n; });
  };
  if (with(1) == 1) {
    ranking.verdicts[*ranking.highest] = Verdict::kOnly;
    return ranking;
  }
  const double comparable = static_cast<double>(with(2));
  const double pairs = std::max(1.0, comparable * (comparable - 1) / 2);
  const double error = -std::expm1(std::log1p(-kFamilyError) / pairs);
  size_t candidates = 0;  // number of groups that can be the best
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].n == 0) continue;
    Verdict& verdict = ranking.verdicts[i];
    if (groups[i].n == 1) {
      verdict = Verdict::kOneSeed;
    } else if (i == *ranking.highest) {
      verdict = Verdict::kTied;
    } else {
      ranking.differences[i] = WelchDifference(groups[*ranking.highest], groups[i], error);
      verdict = ranking.differences[i]->told_apart ? Verdict::kLower : Verdict::kTied;
    }
    candidates += verdict != Verdict::kLower;
  }
  if (candidates == 1) ranking.verdicts[*ranking.highest] = Verdict::kBest;
  return ranking;
}

}  // namespace coppice::cli
