// The values of an interrupted run beside those of an undisturbed one.
#ifndef COPPICE_CLI_PROGRAM_VALUE_COMPARISON_H_
#define COPPICE_CLI_PROGRAM_VALUE_COMPARISON_H_

#include <cstdint>
#include <map>
#include <string>

#include "cli/program/trial.h"

namespace coppice::cli {

struct ValueComparison {
  uint64_t values = 0;  // that were compared
  double largest = 0;   // relative difference; infinite where a value is missing
  std::string where;    // of the largest one, with both values
};

// Compares the rows of each seed, those before the interruption (null: they are not compared) and
// those after it. Metrics that measure time are left out: their names end with _per_second, seconds
// or _ms.
ValueComparison CompareValues(const std::map<uint32_t, MemberRecord>& undisturbed,
                              const std::map<uint32_t, MemberRecord>* before,
                              const std::map<uint32_t, MemberRecord>& after);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_PROGRAM_VALUE_COMPARISON_H_
