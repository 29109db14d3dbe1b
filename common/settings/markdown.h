// The table of the documentation, made from the settings.
#ifndef COPPICE_COMMON_SETTINGS_MARKDOWN_H_
#define COPPICE_COMMON_SETTINGS_MARKDOWN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/settings/table.h"

namespace coppice::settings {

// A row for each setting, with a head; ends in a newline.
std::string MarkdownTable(const Table& table);

// The document with what stands between its marks of the table replaced by `rows`. NOT_FOUND: it
// lacks the marks.
absl::StatusOr<std::string> WithTable(absl::string_view document, absl::string_view rows);

// Lines of `before` that `after` lacks with a minus, those that it has more with a plus; empty when
// the two are the same.
std::string LineDifference(absl::string_view before, absl::string_view after);

}  // namespace coppice::settings

#endif  // COPPICE_COMMON_SETTINGS_MARKDOWN_H_
