#ifndef COPPICE_CLI_REPORT_GNUPLOT_H_
#define COPPICE_CLI_REPORT_GNUPLOT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::cli {

// Runs `program` (a name to find in PATH, or a path) on a script file, in `dir`, without the user's
// gnuplot settings, locale and signal mask, and waits for its end. Returns the text that it
// printed, usually empty. gnuplot and its libraries print warnings that spoil no figure, so callers
// check the drawn files instead. NOT_FOUND, with the remedy: there is no such program. INTERNAL,
// with its text: it fails. DEADLINE_EXCEEDED: it hangs. CANCELLED: `stop_fd` (-1: none) becomes
// readable. In the last two cases it is killed.
absl::StatusOr<std::string> RunGnuplot(const std::string& program, const std::string& dir,
                                       const std::string& script, int stop_fd);

// OK if `program` starts and prints its version. FAILED_PRECONDITION: it exists but does not work.
// NOT_FOUND, DEADLINE_EXCEEDED and CANCELLED as of RunGnuplot.
absl::Status FindGnuplot(const std::string& program, int stop_fd);

// Adapts gnuplot's SVG to other readers: bold as an attribute, a list of fallback fonts, a title in
// place of gnuplot's, no titles with gnuplot's own expressions, smooth bands, no empty groups.
// `title` is escaped here.
std::string TidySvg(std::string svg, const std::string& title);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_GNUPLOT_H_
