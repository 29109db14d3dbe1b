#ifndef COPPICE_CLI_REPORT_HTML_H_
#define COPPICE_CLI_REPORT_HTML_H_

#include <string>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// Escapes text for an element or a quoted attribute of HTML or SVG: & < > " ' become entities, and
// characters are replaced as by Printable.
std::string EscapeHtml(absl::string_view text);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_HTML_H_
