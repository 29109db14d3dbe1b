#ifndef COPPICE_CLI_REPORT_AXES_CHOICE_H_
#define COPPICE_CLI_REPORT_AXES_CHOICE_H_

#include <string>

namespace coppice::cli {

// The axes of panels and lines in a report by axes, by name; empty: none is chosen.
struct AxesChoice {
  std::string panel;
  std::string line;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_AXES_CHOICE_H_
