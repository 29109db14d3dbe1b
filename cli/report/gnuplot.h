#ifndef COPPICE_CLI_REPORT_GNUPLOT_H_
#define COPPICE_CLI_REPORT_GNUPLOT_H_

#include <string>

#include "absl/status/status.h"

namespace coppice::cli {

// Runs `program` (a name that PATH finds, or a path) on a script file, in `dir`, without the user's
// own gnuplot settings, and waits for its end. NOT_FOUND, with the remedy, when there is no such
// program; INTERNAL, with what it wrote, when it fails or complains; DEADLINE_EXCEEDED when it
// hangs (it is then killed).
absl::Status RunGnuplot(const std::string& program, const std::string& dir,
                        const std::string& script);

// OK when `program` can be started. NOT_FOUND as above.
absl::Status FindGnuplot(const std::string& program);

// An SVG as gnuplot writes it, made fit for other readers: bold as an attribute, a list of fonts to
// fall back on, a title instead of gnuplot's, no titles with gnuplot's own expressions, smooth
// bands, no empty groups. `title` is escaped here.
std::string TidySvg(std::string svg, const std::string& title);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_GNUPLOT_H_
