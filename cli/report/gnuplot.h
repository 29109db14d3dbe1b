#ifndef COPPICE_CLI_REPORT_GNUPLOT_H_
#define COPPICE_CLI_REPORT_GNUPLOT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice::cli {

// Runs `program` (a name that PATH finds, or a path) on a script file, in `dir`, without the user's
// own gnuplot settings, locale and signal mask, and waits for its end. What it wrote to its output,
// empty as a rule: gnuplot and its libraries warn there of things that spoil no figure, so look at
// the files it was to draw. NOT_FOUND, with the remedy, when there is no such program; INTERNAL,
// with what it wrote, when it fails; DEADLINE_EXCEEDED when it hangs and CANCELLED when `stop_fd`
// (-1: none) becomes readable; it is then killed.
absl::StatusOr<std::string> RunGnuplot(const std::string& program, const std::string& dir,
                                       const std::string& script, int stop_fd);

// OK when `program` can be started and tells its version. FAILED_PRECONDITION when it is there and
// does not work; NOT_FOUND, DEADLINE_EXCEEDED and CANCELLED as above.
absl::Status FindGnuplot(const std::string& program, int stop_fd);

// An SVG as gnuplot writes it, made fit for other readers: bold as an attribute, a list of fonts to
// fall back on, a title instead of gnuplot's, no titles with gnuplot's own expressions, smooth
// bands, no empty groups. `title` is escaped here.
std::string TidySvg(std::string svg, const std::string& title);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_GNUPLOT_H_
