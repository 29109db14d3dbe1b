// Numbers with the digits that the sample can bear. Every table and caption of a report uses these.
#ifndef COPPICE_CLI_REPORT_NUMBERS_H_
#define COPPICE_CLI_REPORT_NUMBERS_H_

#include <string>

#include "cli/report/statistics.h"

namespace coppice::cli {

// The standard error of the mean; 0 below two values.
double StandardError(const Moments& of);

// Digits after the point that a value with this error > 0 has; negative: before the point. The rule
// of the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"): two digits of
// an error whose first three are 100 to 354, one of 355 to 949; from 950 on it is 1000, with two.
int DecimalsFor(double error);

// "0.87", "-1,200": rounded there, thousands parted, with a true minus sign.
std::string Rounded(double value, int decimals);

// One measured value: at most four significant digits, of whole numbers all; no zeros at the end.
std::string Measured(double value);

// "0.87 ± 0.04", the error being the standard error of the mean. One value: Measured. "" for none.
std::string MeanText(const Moments& of);
// The sample standard deviation to the decimal place of the mean; "" below two values.
std::string DeviationText(const Moments& of);
// "0.49 to 0.94", to the decimal place of half its width.
std::string IntervalText(const Interval& interval);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_NUMBERS_H_
