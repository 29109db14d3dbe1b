#include "cli/watch_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/points.h"
#include "cli/sweep_view.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

// Failures take at most this share of the lines, and at least one.
constexpr size_t kFailureShare = 5;
// " 45%" and "0.98/0.31".
constexpr size_t kPercentWidth = 4;
constexpr size_t kAccuracyWidth = 9;

// Cuts the lines to the width. Text from elsewhere cannot add a line.
std::vector<std::string> Cut(std::vector<std::string> lines, size_t width) {
  for (std::string& line : lines) {
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    line = Truncate(line, width);
  }
  return lines;
}

void AppendLines(std::vector<std::string>* to, const std::vector<std::string>& more) {
  to->insert(to->end(), more.begin(), more.end());
}

bool Fits(const std::vector<std::string>& lines, size_t room, size_t width) {
  return lines.size() <= room &&
         std::all_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return DisplayWidth(line) <= width; });
}

using Jobs = std::map<uint32_t, const v1::Job*>;  // by seed

// A symbol for each job, or counts if there are too many seeds.
std::string States(const v1::GroupSummary& group, const Jobs& jobs, bool has_jobs, size_t room,
                   const Terminal& terminal) {
  if (has_jobs && jobs.size() <= room) {
    std::string symbols;
    for (const auto& [seed, job] : jobs)
      absl::StrAppend(&symbols, StateSymbol(terminal, job->state()));
    return symbols + std::string(room - jobs.size(), ' ');
  }
  const v1::JobCounts counts = has_jobs ? CountsOf(jobs) : group.counts();
  std::string text;
  const auto add = [&](uint64_t count, v1::JobState state) {
    if (count == 0) return;
    absl::StrAppend(&text, text.empty() ? "" : " ", StateSymbol(terminal, state),
                    FormatSteps(count));
  };
  add(counts.failed(), v1::FAILED);
  add(counts.cancelled(), v1::CANCELLED);
  add(counts.running(), v1::RUNNING);
  add(counts.succeeded(), v1::SUCCEEDED);
  add(counts.pending(), v1::PENDING);
  const size_t width = DisplayWidth(text);
  return width < room ? text + std::string(room - width, ' ') : text;
}

// "question/10  ▶▶✓✓··  45% 0.98/0.31": a line for each group.
std::vector<std::string> CompactLines(const SweepModel& model, const Terminal& terminal) {
  const PrimaryMetrics primary = PrimaryMetricsOf(model.sweep().spec());
  std::map<std::string, Jobs> jobs;
  for (const auto& [id, job] : model.jobs())
    jobs[spec::PointText(job.point(), job.task(), job.depth())][job.seed()] = &job;
  size_t label_width = 0;
  size_t states_width = 1;
  for (const v1::GroupSummary& group : model.sweep().groups()) {
    const std::string label = GroupName(group);
    label_width = std::max(label_width, label.size());
    states_width = std::max(states_width, jobs[label].size());
  }
  // The names of points with several axes are long. The states need room as well.
  if (!IsClassic(model.sweep().groups()))
    label_width = std::min(label_width, std::max<size_t>(terminal.width / 2, 1));
  const size_t beside = label_width + 1 + 1 + kPercentWidth + 1 + kAccuracyWidth;
  const size_t room = terminal.width > beside ? terminal.width - beside : 1;
  states_width = model.has_jobs() && states_width <= room ? states_width : room;
  std::vector<std::string> lines;
  for (const v1::GroupSummary& group : model.sweep().groups()) {
    const Jobs& of_group = jobs[GroupName(group)];
    // The end of a name tells more than its beginning, which neighbors share.
    std::string label = GroupName(group);
    if (label.size() > label_width)
      label = absl::StrCat("~", label.substr(label.size() - label_width + 1));
    const GroupProgress progress = ProgressOf(group, of_group, model.has_jobs(), primary);
    lines.push_back(absl::StrCat(label, std::string(label_width - label.size() + 1, ' '),
                                 States(group, of_group, model.has_jobs(), states_width, terminal),
                                 " ", absl::StrFormat("%*s", kPercentWidth, progress.percent), " ",
                                 absl::StrJoin(progress.metrics, "/")));
  }
  return lines;
}

// The lines of one page, and a line with the page's number.
std::vector<std::string> PageOf(const std::vector<std::string>& lines, size_t room, size_t page) {
  if (lines.size() <= room) return lines;
  if (room < 2) return {};
  const size_t rows = room - 1;
  const size_t pages = (lines.size() + rows - 1) / rows;
  const size_t first = page % pages * rows;
  const size_t end = std::min(lines.size(), first + rows);
  std::vector<std::string> shown(lines.begin() + static_cast<ptrdiff_t>(first),
                                 lines.begin() + static_cast<ptrdiff_t>(end));
  shown.push_back(absl::StrCat("rows ", first + 1, "-", end, " of ", lines.size(), ", page ",
                               page % pages + 1, " of ", pages));
  return shown;
}

}  // namespace

std::vector<std::string> WatchLines(const SweepModel& model, const Terminal& terminal,
                                    size_t page) {
  if (terminal.height == 0 || terminal.width == 0) return StatusLines(model, terminal);
  const size_t height = std::max<size_t>(2, terminal.height - 1);
  std::vector<std::string> lines = SummaryLines(model.summary(), terminal);
  const std::vector<std::string> failures =
      ReasonLines(model, terminal, std::max<size_t>(1, height / kFailureShare));
  const size_t taken = lines.size() + failures.size();
  const size_t room = height > taken ? height - taken : 0;
  const std::vector<std::string> grid = GridLines(model, terminal);
  if (Fits(grid, room, terminal.width)) {
    AppendLines(&lines, grid);
  } else {
    std::vector<std::string> compact = CompactLines(model, terminal);
    const std::vector<std::string> legend =
        LegendLines(terminal, PrimaryMetricsOf(model.sweep().spec()));
    const bool explained = compact.size() + legend.size() <= room;
    AppendLines(&lines, PageOf(compact, room, page));
    if (explained) AppendLines(&lines, legend);
  }
  AppendLines(&lines, failures);
  if (lines.size() > height) {
    // A window this small shows the totals. Its last line is a failure, if there is one.
    const std::string last = failures.empty() ? lines[height - 1] : failures.back();
    lines.resize(height);
    lines.back() = last;
  }
  return Cut(std::move(lines), terminal.width);
}

}  // namespace coppice::cli
