// Draws curves over training steps, and counts the seeds behind each point.
#ifndef COPPICE_CLI_REPORT_CURVES_H_
#define COPPICE_CLI_REPORT_CURVES_H_

#include <string>
#include <vector>

#include "cli/report/plot.h"
#include "cli/report/statistics.h"
#include "cli/report/step_axis.h"

namespace coppice::cli {

// At most this many seeds get a thin line of their own. The mean and the CSV cover the others.
inline constexpr size_t kMaxThinSeeds = 40;

// The part of a mean curve that at least half of `seeds` have reached. Beyond it, the mean would be
// that of a few early seeds.
std::vector<MeanPoint> Drawn(const std::vector<MeanPoint>& mean, size_t seeds);

// Layers of a panel, from bottom to top.
struct CurveLayers {
  std::vector<std::string> bands, thin, bold, dashed;
  void MoveTo(Panel* panel);
};

struct MeanStyle {
  const char* colour;
  double width = 1.6;  // of the line, in points
  bool band = true;    // one standard deviation to each side
  Interval clip;       // limits of the band: the ends of the axis
};
// Adds a mean curve as a line with its band, and with points if they are few. Returns true if a
// band was drawn.
bool AddMeanCurve(const std::vector<MeanPoint>& mean, const StepAxis& axis, const MeanStyle& style,
                  Plot* plot, CurveLayers* layers);
// Adds single seeds as thin lines, at most kMaxThinSeeds.
void AddThinCurves(const std::vector<const Curve*>& curves, const StepAxis& axis,
                   const char* colour, Plot* plot, CurveLayers* layers);
void AddDashedCurve(const std::vector<MeanPoint>& mean, const StepAxis& axis, const char* colour,
                    Plot* plot, CurveLayers* layers);

// The number of seeds behind a curve's points: "n = 10", "n = 3 to 10"; "n = 0" without points.
std::string SeedCount(const std::vector<MeanPoint>& mean);

// Collects the numbers of seeds behind a figure's marks and points, for its caption.
class SeedNotes {
 public:
  // `name`: "tense depth 4". Curves of the same name and counts are listed once.
  void AddCurve(const std::string& name, const std::vector<MeanPoint>& drawn);
  void AddMark(const std::string& name, size_t n);
  // " Seeds: n = 10 at every point.", " Seeds: n = 3 to 10; fewer than 10: tense depth 4 (n = 3)."
  std::string Caption() const;

 private:
  struct Entry {
    std::string name;
    std::vector<MeanPoint> points;  // empty: a mark
    size_t low = 0, high = 0;
  };
  std::vector<Entry> entries_;
};

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_CURVES_H_
