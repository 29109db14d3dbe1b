#ifndef COPPICE_COMMON_BASE_LOGGING_H_
#define COPPICE_COMMON_BASE_LOGGING_H_

// The one door to spdlog: `spdlog::info("{} jobs", count)` and its like, and where the lines go.
#include <spdlog/spdlog.h>

#include <string>

#include "absl/status/status.h"

// {fmt} compiles its formatter anew in each file that logs, which takes longer than all else in a
// small file. It is compiled in logging.cc instead. Later versions of {fmt} do so themselves.
#if defined(FMT_VERSION) && FMT_VERSION < 100000
namespace fmt::detail {
extern template void vformat_to<char>(buffer<char>&, basic_string_view<char>,
                                      basic_format_args<buffer_context<char>>, locale_ref);
}  // namespace fmt::detail
#endif

namespace coppice {

// Sends spdlog's default logger to stderr, and appends to `file` if that is not empty. A line reads
// "2026-11-22T11:30:00.123Z info  [program] message". `level`: trace, debug, info, warn, error or
// off. INVALID_ARGUMENT for another level; the codes of files.h for the file.
absl::Status InitLogging(const std::string& program, const std::string& level,
                         const std::string& file = "");

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_LOGGING_H_
