// Small checks for the decoding of requests. Each fails with INVALID_ARGUMENT and names the field.
#ifndef COPPICE_COORDINATOR_SERVICE_CHECKS_H_
#define COPPICE_COORDINATOR_SERVICE_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "coordinator/service/convert.h"

namespace coppice::service {

inline absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, " ", what));
}

inline absl::Status CheckText(absl::string_view field, absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return Bad(field, absl::StrCat("holds ", text.size(), " bytes; at most ", max_bytes));
}

// Checks a single line of text that people will see.
inline absl::Status CheckLine(absl::string_view field, absl::string_view text, size_t max_bytes) {
  COPPICE_RETURN_IF_ERROR(CheckText(field, text, max_bytes));
  if (IsPrintable(text)) return absl::OkStatus();
  return Bad(field, "holds a control character, or is not UTF-8");
}

// Checks a name that is printed, logged and typed: it must not be empty or contain anything that
// drives a terminal.
inline absl::Status CheckName(absl::string_view field, absl::string_view text,
                              size_t max_bytes = kMaxNameBytes) {
  if (text.empty()) return Bad(field, "is missing");
  return CheckLine(field, text, max_bytes);
}

inline absl::Status CheckCount(absl::string_view field, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return Bad(field, absl::StrCat("holds ", count, " entries; at most ", most));
}

inline absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low,
                               uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return Bad(field, absl::StrCat("is ", value, "; use ", low, " to ", high));
}

// Checks the path of a checkpoint, relative to the checkpoint root.
inline absl::Status CheckPath(const std::string& path) {
  if (!IsSafeRelativePath(path) || path.size() > kMaxPathBytes) {
    return Bad("path",
               "must be a relative path without '.' or '..' parts, inside the checkpoint root");
  }
  return CheckLine("path", path, kMaxPathBytes);
}

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_CHECKS_H_
