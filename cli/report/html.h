#ifndef COPPICE_CLI_REPORT_HTML_H_
#define COPPICE_CLI_REPORT_HTML_H_

#include <string>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// Text for an element or a quoted attribute, of HTML and SVG alike: & < > " ' as entities, what
// Printable replaces, as it does.
std::string EscapeHtml(absl::string_view text);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_HTML_H_
