#include "coordinator/core/garbage_plan.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/file_names.h"

namespace coppice::core {
namespace {

std::optional<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || absl::StrCat(number) != text) return std::nullopt;
  return number;
}

bool IsInside(absl::string_view path, absl::string_view folder) {
  return path == folder || (absl::StartsWith(path, folder) && path[folder.size()] == '/');
}

}  // namespace

std::optional<JobId> ParseJobFolder(absl::string_view name) { return ParseNumber(name); }

std::optional<AttemptNumber> ParseAttemptFolder(absl::string_view name) {
  if (!ConsumeAttemptPrefix(&name)) return std::nullopt;
  return ParseNumber(name);
}

GarbagePlan PlanGarbage(const FoundJob& found, const JobFacts* facts, absl::Time now,
                        absl::Duration min_age) {
  const auto spared = [&](const FoundFile& file) {
    if (now - file.modified < min_age) return true;
    if (facts == nullptr) return false;
    if (facts->listed.contains(file.path)) return true;
    return !facts->current_dir.empty() && IsInside(file.path, facts->current_dir);
  };
  GarbagePlan plan;
  for (const FoundFile& file : found.files) {
    if (!spared(file)) plan.files.push_back(file);
  }
  for (const FoundFile& folder : found.folders) {
    if (!spared(folder)) plan.folders.push_back(folder);
  }
  return plan;
}

}  // namespace coppice::core
