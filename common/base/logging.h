#ifndef COPPICE_COMMON_BASE_LOGGING_H_
#define COPPICE_COMMON_BASE_LOGGING_H_

#include <string>

#include "absl/status/status.h"

namespace coppice {

// Sends spdlog's default logger to stderr, and appends to `file` if that is not empty. A line reads
// "2026-11-22T11:30:00.123Z info  [program] message". `level`: trace, debug, info, warn, error or
// off. INVALID_ARGUMENT for another level; the codes of files.h for the file.
absl::Status InitLogging(const std::string& program, const std::string& level,
                         const std::string& file = "");

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_LOGGING_H_
