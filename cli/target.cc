#include "cli/target.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/nearest_word.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// Advice for a misspelled task, as in demo/qestion.
std::string TaskAdvice(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() < 2 || IsTask(parts[1]) || parts[1].empty()) return "";
  return AfterSemicolon(DidYouMeanTask(parts[1]));
}

absl::Status NoTarget(const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text,
      "' names no jobs; use SWEEP, SWEEP/TASK, SWEEP/TASK/DEPTH, SWEEP/TASK/DEPTH/SEED or a job "
      "number",
      TaskAdvice(text)));
}

// SWEEP/AXIS=VALUE/..., or without a sweep for the only one.
absl::StatusOr<Target> WithConditions(const std::vector<std::string>& parts) {
  Target target;
  const bool only_sweep = absl::StrContains(parts[0], '=');
  if (!only_sweep) target.sweep = parts[0];
  for (size_t i = only_sweep ? 0 : 1; i < parts.size(); ++i) {
    COPPICE_ASSIGN_OR_RETURN(AxisText condition, ParseAxisText("the part", parts[i]));
    for (const AxisText& other : target.where) {
      if (other.axis != condition.axis) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("the target names ", condition.axis, " twice; list the values, as in ",
                       condition.axis, "=", other.values, ",", condition.values));
    }
    target.where.push_back(std::move(condition));
  }
  return target;
}

bool ToNumber(absl::string_view text, uint32_t* number) {
  return IsNumber(text) && absl::SimpleAtoi(text, number);
}

}  // namespace

bool IsTask(absl::string_view text) {
  return text == "question" || text == "tense" || text == "dyck";
}

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

absl::StatusOr<Target> ParseTarget(const std::string& text) {
  Target target;
  absl::string_view rest = text;
  uint64_t id = 0;
  if (absl::ConsumePrefix(&rest, "job:")) {
    if (!IsNumber(rest) || !absl::SimpleAtoi(rest, &id)) return NoTarget(text);
    target.job = id;
    return target;
  }
  const bool is_sweep = absl::ConsumePrefix(&rest, "sweep:");
  if (text.empty()) return target;
  std::vector<std::string> parts = absl::StrSplit(rest, '/');
  if (parts[0].empty()) return NoTarget(text);
  if (absl::StrContains(rest, '=')) return WithConditions(parts);
  // TASK/DEPTH[/SEED] of the only sweep: a path that begins with a sweep never has a number in
  // second place.
  if (!is_sweep && parts.size() > 1 && IsTask(parts[0]) && IsNumber(parts[1])) {
    parts.insert(parts.begin(), "");
  }
  target.sweep = parts[0];
  if (parts.size() == 1 && !is_sweep && IsNumber(rest) && absl::SimpleAtoi(rest, &id))
    target.job = id;
  uint32_t depth = 0;
  uint32_t seed = 0;
  // An empty part is no wildcard: it may be an unset variable.
  if (parts.size() > 4 || (parts.size() > 1 && !IsTask(parts[1])) ||
      (parts.size() > 2 && !ToNumber(parts[2], &depth)) ||
      (parts.size() > 3 && !ToNumber(parts[3], &seed))) {
    return NoTarget(text);
  }
  if (parts.size() > 1) target.task = parts[1];
  if (parts.size() > 2) target.depth = depth;
  if (parts.size() > 3) target.seed = seed;
  return target;
}

}  // namespace coppice::cli
