#include "cli/program/value_comparison.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coppice::cli {
namespace {

using Rows = std::map<uint32_t, std::map<std::string, double>>;

bool IsTime(absl::string_view name) {
  return absl::EndsWith(name, "_per_second") || absl::EndsWith(name, "seconds") ||
         absl::EndsWith(name, "_ms");
}

double RelativeDifference(double value, double against) {
  if (value == against) return 0;
  return std::abs(value - against) / std::max(std::abs(value), std::abs(against));
}

void CompareRows(uint32_t seed, const Rows& expected, const Rows& rows, ValueComparison* result) {
  for (const auto& [step, row] : rows) {
    for (const auto& [name, value] : row) {
      if (IsTime(name)) continue;
      ++result->values;
      const auto at = expected.find(step);
      const bool there = at != expected.end() && at->second.contains(name);
      const double against = there ? at->second.at(name) : 0;
      const double difference = there ? RelativeDifference(value, against) : HUGE_VAL;
      if (difference <= result->largest) continue;
      result->largest = difference;
      result->where = absl::StrCat(name, " of seed ", seed, " at step ", step, ": ", value,
                                   " instead of ", there ? absl::StrCat(against) : "none");
    }
  }
}

}  // namespace

ValueComparison CompareValues(const std::map<uint32_t, MemberRecord>& undisturbed,
                              const std::map<uint32_t, MemberRecord>* before,
                              const std::map<uint32_t, MemberRecord>& after) {
  ValueComparison result;
  for (const auto& [seed, member] : after) {
    const Rows& expected = undisturbed.at(seed).rows;
    if (before != nullptr) CompareRows(seed, expected, before->at(seed).rows, &result);
    CompareRows(seed, expected, member.rows, &result);
  }
  return result;
}

}  // namespace coppice::cli
