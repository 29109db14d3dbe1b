#include "cli/report/plot.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace coppice::cli {
namespace {

// Lengths in inches.
constexpr double kLeft = 0.56;
constexpr double kRight = 0.18;
constexpr double kGap = 0.52;
constexpr double kPanelHeight = 1.75;
constexpr double kLowPanelHeight = 1.2;  // for figures of many panels
constexpr double kTitle = 0.28;
constexpr double kSubtitle = 0.14;
constexpr double kAxis = 0.44;
constexpr double kNotes = 0.13;
constexpr double kLegendRow = 0.19;
constexpr double kSample = 0.24;

constexpr char kFont[] = "Liberation Sans";

// Wide enough for proportional text at 7.5 points, also in a fallback font.
double TextWidth(absl::string_view text) { return static_cast<double>(text.size()) * 0.057; }

// Width of a row with this number of panels.
double WidthOf(size_t columns) { return columns == 1 ? 3.45 : columns == 2 ? 5.3 : 7.0; }

std::string TicCommand(const char* axis, const Ticks& ticks) {
  std::vector<std::string> marks;
  for (const auto& [value, label] : ticks.marks)
    marks.push_back(absl::StrFormat("%s %.9g", GnuplotText(label), value));
  for (const double value : ticks.minors) marks.push_back(absl::StrFormat("'' %.9g 1", value));
  return absl::StrCat(ticks.log ? "set" : "unset", " logscale ", axis, "\nset ", axis, "tics (",
                      absl::StrJoin(marks, ", "), ")\n",
                      absl::StrFormat("set %srange [%.9g:%.9g]\n", axis, ticks.low, ticks.high));
}

// The gnuplot style of a legend's line; null for entries that are no lines.
const char* LineOf(LegendEntry::Kind kind) {
  switch (kind) {
    case LegendEntry::kLine:
      return "lw 1.6";
    case LegendEntry::kThinLine:
      return "lw 0.6";
    case LegendEntry::kDashed:
      return "lw 1.2 dt (5*D,3*D)";
    case LegendEntry::kDotted:
      return "lw 1.2 dt (1.5*D,2*D)";
    case LegendEntry::kBar:
      return "lw 2.2";
    default:
      return nullptr;
  }
}

// The sample before a legend's text, in fractions of the screen. `half` is a band's half height.
std::string SampleText(const LegendEntry& entry, double left, double right, double y, double half) {
  const std::string colour = GnuplotText(entry.colour);
  if (const char* line = LineOf(entry.kind); line != nullptr) {
    return absl::StrFormat(
        "set arrow from screen %.5f,%.5f to screen %.5f,%.5f nohead lc rgb %s %s\n", left, y, right,
        y, colour, line);
  }
  if (entry.kind == LegendEntry::kBand) {
    return absl::StrFormat(
        "set object rectangle from screen %.5f,%.5f to screen %.5f,%.5f fc rgb %s "
        "fs transparent solid 0.22 noborder\n",
        left, y - half, right, y + half, colour);
  }
  return absl::StrFormat(
      "set label '' at screen %.5f,%.5f point pt %d ps 0.45*P lw 0.7 lc rgb %s\n",
      (left + right) / 2, y, entry.kind == LegendEntry::kDot ? 7 : 6, colour);
}

}  // namespace

std::string Plot::AddData(const std::string& rows) {
  const std::string name = absl::StrCat("$data", data_.size());
  data_.push_back(absl::StrCat(name, " << EOD\n", rows, "EOD\n"));
  return name;
}

void Plot::AddLegend(LegendEntry entry) {
  for (const LegendEntry& known : legend_) {
    if (known.text == entry.text && known.kind == entry.kind) return;
  }
  legend_.push_back(std::move(entry));
}

// Four panels make a square.
size_t Plot::Columns(size_t panels) {
  return panels == 4 ? 2 : std::min<size_t>(3, std::max<size_t>(1, panels));
}

double Plot::panel_height() const { return panels_.size() > 6 ? kLowPanelHeight : kPanelHeight; }

double Plot::width() const { return WidthOf(columns()); }

double Plot::title_height() const {
  bool subtitle = false;
  for (const Panel& panel : panels_) subtitle |= !panel.subtitle.empty();
  return kTitle + (subtitle ? kSubtitle : 0);
}

double Plot::row_height() const {
  bool notes = false;
  for (const Panel& panel : panels_) notes |= !panel.notes.empty();
  return title_height() + panel_height() + kAxis + (notes ? kNotes : 0);
}

int Plot::legend_rows() const {
  const std::vector<Placed> placed = PlaceLegend();
  return placed.empty() ? 0 : placed.back().row + 1;
}

double Plot::height() const {
  const size_t rows = (panels_.size() + columns() - 1) / columns();
  return 0.06 + legend_rows() * kLegendRow + static_cast<double>(rows) * row_height() + 0.02;
}

std::vector<Plot::Placed> Plot::PlaceLegend() const {
  std::vector<Placed> placed;
  double left = kLeft;
  int row = 0;
  for (const LegendEntry& entry : legend_) {
    const double needed = kSample + 0.06 + TextWidth(entry.text);
    if (left > kLeft && left + needed > width() - kRight) {
      left = kLeft;
      ++row;
    }
    placed.push_back({&entry, left, row});
    left += needed + 0.16;
  }
  return placed;
}

std::string Plot::LegendText() const {
  std::string text;
  const double w = width(), h = height();
  for (const Placed& at : PlaceLegend()) {
    const double y = 1 - (0.06 + kLegendRow * (at.row + 0.5)) / h;
    const double right = (at.left + kSample) / w;
    text += SampleText(*at.entry, at.left / w, right, y, 0.045 / h);
    absl::StrAppendFormat(&text,
                          "set label %s at screen %.5f,%.5f left font '%s,7.5' tc rgb '%s'\n",
                          GnuplotText(at.entry->text), right + 0.06 / w, y, kFont, colour::kInk);
  }
  return text;
}

std::string Plot::PanelText(size_t index) const {
  const Panel& panel = panels_[index];
  const double w = width(), h = height();
  const double count = static_cast<double>(columns());
  const double panel_width = (w - kLeft - kRight - (count - 1) * kGap) / count;
  const double left = kLeft + static_cast<double>(index % columns()) * (panel_width + kGap);
  const double top = h - 0.06 - legend_rows() * kLegendRow -
                     static_cast<double>(index / columns()) * row_height() - title_height();
  const double bottom = top - panel_height();
  std::string text = absl::StrFormat(
      "unset label\nunset arrow\nunset object\nset lmargin at screen %.5f\nset rmargin at screen "
      "%.5f\n"
      "set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
      left / w, (left + panel_width) / w, top / h, bottom / h);
  if (index == 0) text += LegendText();
  const auto label = [&](absl::string_view what, double x, double y, const std::string& style) {
    absl::StrAppendFormat(&text, "set label %s at screen %.5f,%.5f %s\n", GnuplotText(what), x / w,
                          y / h, style);
  };
  const std::string faint = absl::StrFormat("tc rgb '%s'", colour::kFaint);
  label(panel.title, left, top + (panel.subtitle.empty() ? 0.12 : 0.28),
        absl::StrFormat("left font '%s:Bold,8.5' tc rgb '%s'", kFont, colour::kInk));
  if (!panel.subtitle.empty())
    label(panel.subtitle, left, top + 0.12, absl::StrFormat("left font '%s,7' %s", kFont, faint));
  const double below = bottom - 0.16 - (panel.notes.empty() ? 0 : kNotes);
  label(panel.x_label, left + panel_width / 2, below - 0.14,
        absl::StrFormat("center font '%s,8' tc rgb '%s'", kFont, colour::kInk));
  label(panel.y_label, left - 0.42, (top + bottom) / 2,
        absl::StrFormat("center rotate by 90 font '%s,8' tc rgb '%s'", kFont, colour::kInk));
  const double scale = panel_width / (panel.x.high - panel.x.low);
  for (size_t i = 0; i < panel.notes.size() && i < panel.x.marks.size(); ++i) {
    label(panel.notes[i], left + (panel.x.marks[i].first - panel.x.low) * scale, bottom - 0.28,
          absl::StrFormat("center font '%s,6.5' %s", kFont, faint));
  }
  if (!panel.notes_name.empty())
    label(panel.notes_name, left - 0.04, bottom - 0.28,
          absl::StrFormat("right font '%s,6.5' %s", kFont, faint));
  text += TicCommand("x", panel.x) + TicCommand("y", panel.y);
  absl::StrAppend(&text, "set grid ", panel.step_grid ? "xtics " : "noxtics ",
                  "ytics lt 1 lw 0.4 lc rgb '#E4E4E4'\n");
  for (const std::string& extra : panel.extras) absl::StrAppend(&text, extra, "\n");
  return absl::StrCat(text, "plot ", absl::StrJoin(panel.layers, ", "), "\n");
}

std::string Plot::Body() const {
  std::string text =
      "set encoding utf8\nset multiplot\nunset key\n"
      "set border 3 lw 0.6 lc rgb '#555555'\n"
      "set tics out nomirror scale 0.4,0.2\n";
  absl::StrAppendFormat(&text,
                        "set tics font '%s,7.5' textcolor rgb '%s'\nset xtics offset 0,0.25\nset "
                        "ytics offset 0.4,0\n",
                        kFont, colour::kInk);
  for (size_t i = 0; i < panels_.size(); ++i) text += PanelText(i);
  return text + "unset multiplot\nunset output\n";
}

std::string Plot::Script(const std::string& name) const {
  // P and D make points and dashes equally large. The font scales make 8 points 8 points (SVG
  // counts 96 pixels an inch).
  const std::string body = Body();
  return absl::StrCat(
      absl::StrJoin(data_, ""),
      absl::StrFormat(
          "set terminal svg size %.0f,%.0f font '%s,8' fontscale 1.3333 linewidth 1.333 "
          "noenhanced background rgb 'white'\nset output '%s.svg'\nP = 1.0; D = 1.0\n",
          width() * 96, height() * 96, kFont, name),
      body,
      absl::StrFormat("set terminal pdfcairo size %.4fin,%.4fin font '%s,8' fontscale 0.75 "
                      "linewidth 2 noenhanced background rgb 'white'\nset output '%s.pdf'\nP = "
                      "0.667; D = 2.0\n",
                      width(), height(), kFont, name),
      body);
}

}  // namespace coppice::cli
