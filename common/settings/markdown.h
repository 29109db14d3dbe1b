// Generates the documentation's table from the settings.
#ifndef COPPICE_COMMON_SETTINGS_MARKDOWN_H_
#define COPPICE_COMMON_SETTINGS_MARKDOWN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/settings/table.h"

namespace coppice::settings {

// A header, and one row per setting. Ends in a newline.
std::string MarkdownTable(const Table& table);

// The document, with the text between its table marks replaced by `rows`. NOT_FOUND: it lacks the
// marks.
absl::StatusOr<std::string> WithTable(absl::string_view document, absl::string_view rows);

// Removed lines with a minus and added lines with a plus. Empty when the texts are equal.
std::string LineDifference(absl::string_view before, absl::string_view after);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_MARKDOWN_H_
