// Formats of numbers, times and cells, for people and for other programs.
#ifndef COPPICE_CLI_FORMAT_H_
#define COPPICE_CLI_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/printable.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

// The fewest digits that read back as the same double: "0.1", "1e-07", "nan".
std::string FormatExact(double value);
// Four significant digits, for tables.
std::string FormatShort(double value);
// "1,234,567".
std::string FormatCount(uint64_t value);
// At most five characters: "950", "1.5k", "300k", "1.2M".
std::string FormatSteps(uint64_t steps);
// "0.98"; "-" if the run did not report it.
std::string FormatAccuracy(double value, bool known);
// "45s", "2m 05s", "3h 10m", "2d 04h"; "unknown" if negative.
std::string FormatDuration(double seconds);
// Local time with its zone, "2026-11-22 11:30:05 +01:00"; "-" for 0.
std::string FormatTime(int64_t unix_ms);
std::string FormatBytes(uint64_t bytes);
// "3.1e15 multiply-adds".
std::string FormatWork(double multiply_adds);
// "pending", ...
std::string StateWord(v1::JobState state);

// Quotes a cell where RFC 4180 requires it. A spreadsheet takes text for a formula if it begins
// with = + - @, a tab or a carriage return, and is no number. Such text is quoted, with a ' in
// front.
std::string CsvCell(absl::string_view text);

// Columns that the text takes on a terminal: its code points, without color sequences.
size_t DisplayWidth(absl::string_view text);
// The first `width` columns, with an ellipsis (here "~") for one of them if something was cut.
// Color sequences stay whole.
std::string Truncate(absl::string_view text, size_t width);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_FORMAT_H_
