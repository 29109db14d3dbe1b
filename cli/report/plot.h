// A figure of aligned panels as a gnuplot script. Everything is placed in inches here rather than
// by gnuplot, so that panels align, legends are never cut, and SVG and PDF agree.
#ifndef COPPICE_CLI_REPORT_PLOT_H_
#define COPPICE_CLI_REPORT_PLOT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// The color-blind safe palette of M. Okabe and K. Ito (2008). A color means the same in every
// figure.
namespace colour {
inline constexpr char kInDomain[] = "#0072B2";        // blue
inline constexpr char kGeneralization[] = "#D55E00";  // vermillion
inline constexpr char kEarlyStopped[] = "#E69F00";    // orange
inline constexpr char kShallowest[] = "#56B4E9";      // sky blue
inline constexpr char kBest[] = "#009E73";            // green
inline constexpr char kDeepest[] = "#CC79A7";         // purple
inline constexpr char kReference[] = "#555555";       // curves that were not trained here
inline constexpr char kInk[] = "#333333";
inline constexpr char kFaint[] = "#707070";
}  // namespace colour

// A gnuplot string in single quotes, which allow no substitution. Control characters become spaces.
std::string GnuplotText(absl::string_view text);
// A color with transparency: ("#D55E00", 0.25) is a quarter visible.
std::string Faded(absl::string_view colour, double visible);

struct Ticks {
  std::vector<std::pair<double, std::string>> marks;
  double low = 0;
  double high = 1;
  bool log = false;
  std::vector<double> minors;  // short ones, without a label
};
// From 0 to exactly `last`, in about `count` round steps: "0", "50k", "100k".
Ticks StepTicks(uint32_t last, int count);
// Powers of ten and round numbers between them in [low, high], both above 0. `label` formats them.
Ticks LogTicks(double low, double high, const std::function<std::string(double)>& label);
// LogTicks with labels for values: "0.01", "10000".
Ticks LogValueTicks(double low, double high);
// Round numbers around [low, high]; the range is never empty.
Ticks ValueTicks(double low, double high, int count);
// 0, 0.2 ... 1, with a margin, so that the axis hides no mark at 0 or 1.
Ticks UnitTicks();
// One tick for each label, at 0, 1, 2 ...
Ticks CategoryTicks(const std::vector<std::string>& labels);

struct LegendEntry {
  enum Kind { kLine, kThinLine, kDashed, kDotted, kBand, kDot, kOpenDot, kBar };
  Kind kind;
  std::string colour;
  std::string text;
};

struct Panel {
  std::string title;
  std::string subtitle;
  std::string x_label;
  std::string y_label;
  Ticks x, y;
  bool step_grid = false;           // also vertical grid lines
  std::vector<std::string> notes;   // a second row under the x ticks, one note a tick
  std::string notes_name;           // label of that row, at its left
  std::vector<std::string> extras;  // gnuplot commands before the plot
  std::vector<std::string> layers;  // elements of its plot command, drawn in order
};

class Plot {
 public:
  // `rows`: lines of numbers, with an empty line between blocks. Returns the name that layers use.
  std::string AddData(const std::string& rows);
  void AddPanel(Panel panel) { panels_.push_back(std::move(panel)); }
  void AddLegend(LegendEntry entry);

  // The number of columns for this many panels. Panels are less high if there are more than six.
  static size_t Columns(size_t panels);

  bool empty() const { return panels_.empty(); }
  double width() const;   // inches
  double height() const;  // inches
  // Writes NAME.svg and NAME.pdf into the working folder. `name` is a plain word.
  std::string Script(const std::string& name) const;

 private:
  size_t columns() const { return Columns(panels_.size()); }
  double panel_height() const;
  std::string Body() const;
  std::string PanelText(size_t index) const;
  std::string LegendText() const;
  // A legend entry with its left end in inches and its row.
  struct Placed {
    const LegendEntry* entry;
    double left;
    int row;
  };
  std::vector<Placed> PlaceLegend() const;
  int legend_rows() const;
  double title_height() const;
  double row_height() const;  // a row of panels with its titles and axes

  std::vector<std::string> data_;
  std::vector<Panel> panels_;
  std::vector<LegendEntry> legend_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_PLOT_H_
