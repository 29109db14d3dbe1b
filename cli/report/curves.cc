#include "cli/report/curves.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"

namespace coppice::cli {
namespace {

// A long curve is thinned. The first points (a log axis spreads them), every nth point and the last
// are drawn.
constexpr size_t kMaxPoints = 400;
constexpr size_t kFirstPoints = 50;
constexpr size_t kFewPoints = 12;

// Calls `each` with the indices of the points to draw, out of `count`.
template <typename Each>
void ForDrawn(size_t count, const Each& each) {
  const size_t stride = (count + kMaxPoints - 1) / kMaxPoints;
  for (size_t i = 0; i < count; ++i) {
    if (i % stride == 0 || i < kFirstPoints || i + 1 == count) each(i);
  }
}

// The points drawn apart from the line: those at step 0 of a log axis. `Point` has a step.
template <typename PointT>
size_t Parted(const std::vector<PointT>& points, const StepAxis& axis) {
  return axis.log() && !points.empty() && points[0].step == 0 ? 1 : 0;
}

std::string MeanRows(const std::vector<MeanPoint>& mean, size_t from, Interval clip) {
  std::string rows;
  ForDrawn(mean.size() - from, [&](size_t i) {
    const MeanPoint& point = mean[from + i];
    const Moments& of = point.of;
    absl::StrAppendFormat(&rows, "%d %.6g %.6g %.6g\n", point.step, of.mean,
                          std::clamp(of.mean - of.std, clip.low, clip.high),
                          std::clamp(of.mean + of.std, clip.low, clip.high));
  });
  return rows;
}

// Curves with few points get markers; without them, a single report would be invisible.
const char* LineStyle(size_t points, bool bold) {
  if (points == 1) return bold ? "points pt 7 ps 0.7*P" : "points pt 7 ps 0.35*P";
  if (points > kFewPoints) return "lines";
  return bold ? "linespoints pt 7 ps 0.5*P" : "linespoints pt 7 ps 0.25*P";
}

std::string Bars(const std::string& data, const char* colour) {
  return absl::StrCat(data, " using 1:2:3:4 with yerrorbars pt 7 ps 0.01 lw 0.9 lc rgb '", colour,
                      "'");
}

// The steps with fewer than `most` seeds behind a point: "201,000", "201,000 to 300,000".
std::string FewerSteps(const std::vector<MeanPoint>& points, size_t most) {
  std::vector<std::string> ranges;
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].of.n == most) continue;
    const size_t first = i;
    while (i + 1 < points.size() && points[i + 1].of.n < most) ++i;
    ranges.push_back(first == i ? FormatCount(points[i].step)
                                : absl::StrCat(FormatCount(points[first].step), " to ",
                                               FormatCount(points[i].step)));
  }
  constexpr size_t kMaxRanges = 3;
  if (ranges.size() > kMaxRanges) {
    ranges.resize(kMaxRanges);
    ranges.emplace_back("others");
  }
  return absl::StrJoin(ranges, ", ");
}

std::string CountText(size_t low, size_t high) {
  return low == high ? absl::StrCat("n = ", FormatCount(low))
                     : absl::StrCat("n = ", FormatCount(low), " to ", FormatCount(high));
}

template <typename Points>
std::pair<size_t, size_t> Range(const Points& points) {
  if (points.empty()) return {0, 0};
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(), [](const auto& a, const auto& b) { return a.of.n < b.of.n; });
  return {low->of.n, high->of.n};
}

}  // namespace

std::vector<MeanPoint> Drawn(const std::vector<MeanPoint>& mean, size_t seeds) {
  std::vector<MeanPoint> drawn;
  for (const MeanPoint& point : mean) {
    if (2 * point.of.n >= seeds) drawn.push_back(point);
  }
  return drawn;
}

void CurveLayers::MoveTo(Panel* panel) {
  for (std::vector<std::string>* layers : {&bands, &thin, &bold, &dashed}) {
    std::move(layers->begin(), layers->end(), std::back_inserter(panel->layers));
    layers->clear();
  }
}

bool AddMeanCurve(const std::vector<MeanPoint>& mean, const StepAxis& axis, const MeanStyle& style,
                  Plot* plot, CurveLayers* layers) {
  const size_t parted = Parted(mean, axis);
  const bool spread =
      style.band && std::any_of(mean.begin(), mean.end(),
                                [](const MeanPoint& point) { return point.of.std > 0; });
  if (parted > 0) {
    MeanPoint zero = mean[0];
    std::string rows = MeanRows({zero}, 0, style.clip);
    rows = absl::StrFormat("%.6g%s", axis.zero(), rows.substr(rows.find(' ')));
    const std::string data = plot->AddData(rows);
    if (spread) layers->bands.push_back(Bars(data, style.colour));
    layers->bold.push_back(
        absl::StrCat(data, " using 1:2 with ", LineStyle(1, true), " lc rgb '", style.colour, "'"));
  }
  if (mean.size() == parted) return spread;
  const std::string data = plot->AddData(MeanRows(mean, parted, style.clip));
  if (spread && mean.size() - parted > 1) {
    layers->bands.push_back(absl::StrCat(data, " using 1:3:4 with filledcurves fc rgb '",
                                         style.colour, "' fs transparent solid 0.22 noborder"));
  } else if (spread) {
    layers->bands.push_back(Bars(data, style.colour));
  }
  layers->bold.push_back(absl::StrCat(data, " using 1:2 with ",
                                      LineStyle(mean.size() - parted, true), " lw ", style.width,
                                      " lc rgb '", style.colour, "'"));
  return spread;
}

void AddThinCurves(const std::vector<const Curve*>& curves, const StepAxis& axis,
                   const char* colour, Plot* plot, CurveLayers* layers) {
  std::string rows, zeros;
  size_t longest = 0;
  for (size_t k = 0; k < std::min(curves.size(), kMaxThinSeeds); ++k) {
    const Curve& curve = *curves[k];
    const size_t parted = Parted(curve, axis);
    if (parted > 0) absl::StrAppendFormat(&zeros, "%.6g %.6g\n", axis.zero(), curve[0].value);
    longest = std::max(longest, curve.size() - parted);
    ForDrawn(curve.size() - parted, [&](size_t i) {
      absl::StrAppendFormat(&rows, "%d %.6g\n", curve[parted + i].step, curve[parted + i].value);
    });
    rows += "\n";
  }
  const std::string style = absl::StrCat(" lw 0.5 lc rgb '", Faded(colour, 0.45), "'");
  if (!zeros.empty())
    layers->thin.push_back(
        absl::StrCat(plot->AddData(zeros), " using 1:2 with ", LineStyle(1, false), style));
  if (longest > 0)
    layers->thin.push_back(
        absl::StrCat(plot->AddData(rows), " using 1:2 with ", LineStyle(longest, false), style));
}

void AddDashedCurve(const std::vector<MeanPoint>& mean, const StepAxis& axis, const char* colour,
                    Plot* plot, CurveLayers* layers) {
  const size_t parted = Parted(mean, axis);
  if (mean.size() == parted) return;
  layers->dashed.push_back(absl::StrCat(plot->AddData(MeanRows(mean, parted, {-1e300, 1e300})),
                                        " using 1:2 with lines lw 1.1 dt (5*D,3*D) lc rgb '",
                                        colour, "'"));
}

std::string SeedCount(const std::vector<MeanPoint>& mean) {
  const auto [low, high] = Range(mean);
  return CountText(low, high);
}

void SeedNotes::AddCurve(const std::string& name, const std::vector<MeanPoint>& drawn) {
  if (drawn.empty()) return;
  const auto [low, high] = Range(drawn);
  entries_.push_back({name, drawn, low, high});
}

void SeedNotes::AddMark(const std::string& name, size_t n) { entries_.push_back({name, {}, n, n}); }

std::string SeedNotes::Caption() const {
  if (entries_.empty()) return "";
  size_t low = entries_[0].low, high = 0;
  for (const Entry& entry : entries_) {
    low = std::min(low, entry.low);
    high = std::max(high, entry.high);
  }
  if (low == high) {
    return high == 1 ? " Seeds: n = 1 everywhere, so no spread is known."
                     : absl::StrCat(" Seeds: ", CountText(low, high), " at every point.");
  }
  std::vector<std::string> fewer;
  for (const Entry& entry : entries_) {
    if (entry.low == high) continue;
    std::string text = absl::StrCat(entry.name, " (", CountText(entry.low, entry.high));
    if (entry.low != entry.high)
      absl::StrAppend(&text, "; fewer than ", FormatCount(entry.high), " at steps ",
                      FewerSteps(entry.points, entry.high));
    text += ")";
    if (std::find(fewer.begin(), fewer.end(), text) == fewer.end()) fewer.push_back(text);
  }
  constexpr size_t kMaxNamed = 12;
  const size_t more = fewer.size() > kMaxNamed ? fewer.size() - kMaxNamed : 0;
  fewer.resize(fewer.size() - more);
  if (more > 0) fewer.push_back(absl::StrCat("and ", more, " more, in the CSV"));
  return absl::StrCat(" Seeds: ", CountText(low, high), "; fewer than ", FormatCount(high), ": ",
                      absl::StrJoin(fewer, ", "), ".");
}

}  // namespace coppice::cli
