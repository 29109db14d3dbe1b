// Numbers, times and cells as people and other programs read them.
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
// In five characters or less: "950", "1.5k", "300k", "1.2M".
std::string FormatSteps(uint64_t steps);
// "0.98"; "-" when the run did not report it.
std::string FormatAccuracy(double value, bool known);
// "45s", "2m 05s", "3h 10m", "2d 04h"; "unknown" when negative.
std::string FormatDuration(double seconds);
// Local time and its zone, "2026-11-22 11:30:05 +01:00"; "-" for 0.
std::string FormatTime(int64_t unix_ms);
std::string FormatBytes(uint64_t bytes);
// "3.1e15 multiply-adds".
std::string FormatWork(double multiply_adds);
// "pending", ...
std::string StateWord(v1::JobState state);

// Quoted where RFC 4180 asks for it. Text that a spreadsheet would take for a formula (it begins
// with = + - @, a tab or a carriage return, and is no number) is quoted with a ' in front.
std::string CsvCell(absl::string_view text);

// Columns a terminal shows this text in: code points, without colour sequences.
size_t DisplayWidth(absl::string_view text);
// The first `width` columns; an ellipsis ("~" stands for one character) when something was cut.
// Colour sequences stay whole.
std::string Truncate(absl::string_view text, size_t width);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_FORMAT_H_
