// Numbers with the digits that the sample supports. Every table and caption of a report uses these.
#ifndef COPPICE_CLI_REPORT_NUMBERS_H_
#define COPPICE_CLI_REPORT_NUMBERS_H_

#include <string>

#include "cli/report/statistics.h"

namespace coppice::cli {

// The standard error of the mean; 0 below two values.
double StandardError(const Moments& of);

// The number of digits after the point for a value with this error > 0; negative: before the point.
// The rule of the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"): an
// error whose first three digits are 100 to 354 keeps two digits, 355 to 949 one; from 950 on it
// rounds to 1000 and keeps two.
int DecimalsFor(double error);

// "0.87", "-1,200": rounded to `decimals`, with thousands separators and a true minus sign.
std::string Rounded(double value, int decimals);

// One measured value: at most four significant digits, all digits of whole numbers, no trailing
// zeros.
std::string Measured(double value);

// "0.87 ± 0.04", with the standard error of the mean. For one value as Measured; "" for none.
std::string MeanText(const Moments& of);
// The sample standard deviation to the decimal place of the mean; "" below two values.
std::string DeviationText(const Moments& of);
// "0.49 to 0.94", to the decimal place of half its width.
std::string IntervalText(const Interval& interval);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_NUMBERS_H_
