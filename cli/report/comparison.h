// Finds the group with the highest mean, and how far the seeds support that.
#ifndef COPPICE_CLI_REPORT_COMPARISON_H_
#define COPPICE_CLI_REPORT_COMPARISON_H_

#include <optional>
#include <vector>

#include "cli/report/statistics.h"

namespace coppice::cli {

// Error rate of a comparison: the chance that any two groups of equal means are told apart.
inline constexpr double kFamilyError = 0.05;

// P(|t| > `t`) of Student's t with `df` > 0 degrees of freedom, by the incomplete beta function
// (DLMF 8.17.22, its continued fraction).
double StudentTwoSided(double t, double df);
// The `t` with P(|t| > `t`) = `p`, for p in (0, 1).
double StudentQuantile(double p, double df);

// The difference of two means with its confidence interval.
struct Difference {
  double mean;
  Interval interval;
  // The interval excludes 0; if both spreads are 0, the means differ.
  bool told_apart;
};
// B. L. Welch, The generalization of `Student's' problem when several different population
// variances are involved, Biometrika 34 (1947) 28-35. `error` is 1 - confidence. None if either
// side has fewer than two values: one value says nothing about its spread.
std::optional<Difference> WelchDifference(const Moments& a, const Moments& b, double error);

enum class Verdict {
  kNoValues,
  kOnly,     // no other group has values
  kOneSeed,  // one seed allows no statement
  kBest,     // every other group is lower
  kTied,     // not told apart from the highest mean; or the highest, if others are not told apart
  kLower     // told apart from the highest mean
};
// The word in summary.csv: "best", "one seed" ...
const char* VerdictWord(Verdict verdict);

struct Ranking {
  // The highest mean among groups of at least two values; if there is none, among all. The first of
  // equals. None without any value.
  std::optional<size_t> highest;
  std::vector<Verdict> verdicts;                       // of each group
  std::vector<std::optional<Difference>> differences;  // the highest mean minus each other
  std::optional<size_t> best() const;                  // the group with verdict kBest
};
// A. C. Tamhane, A comparison of procedures for multiple comparisons of means with unequal
// variances, JASA 74 (1979) 471-480, procedure T2: Welch's interval for each pair, at Sidak's level
// 1 - (1 - 0.05)^(1 / pairs). All pairs count although only those with the highest mean are used,
// because the data chose it.
Ranking Rank(const std::vector<Moments>& groups);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_COMPARISON_H_
