#include "cli/point_view.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/points.h"
#include "cli/sweep_view.h"
#include "cli/table.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

// The columns of the innermost axes take at most this share of a line.
constexpr size_t kAxesShare = 2;
constexpr size_t kMaxSeedsInColumns = 20;
// With more points, groups are summed over their innermost axes.
constexpr size_t kMaxPointRowsShown = 400;

// The number of outermost axes that go into the headings of tables, so that the others have room.
size_t HeadingAxes(const PointRows& rows, const Terminal& terminal) {
  std::vector<size_t> widths(rows.axes.size());
  for (size_t axis = 0; axis < rows.axes.size(); ++axis) {
    widths[axis] = DisplayWidth(rows.axes[axis]);
    for (const auto& values : rows.values)
      widths[axis] = std::max(widths[axis], DisplayWidth(values[axis]));
  }
  const size_t room = terminal.width == 0 ? SIZE_MAX : terminal.width / kAxesShare;
  size_t first = rows.axes.size();
  for (size_t width = 0; first > 0; --first) {
    width += widths[first - 1] + 2;
    if (width > room) break;
  }
  return rows.axes.empty() ? 0 : std::min(first, rows.axes.size() - 1);
}

void AddCounts(const v1::JobCounts& more, v1::JobCounts* counts) {
  counts->set_pending(counts->pending() + more.pending());
  counts->set_running(counts->running() + more.running());
  counts->set_succeeded(counts->succeeded() + more.succeeded());
  counts->set_failed(counts->failed() + more.failed());
  counts->set_cancelled(counts->cancelled() + more.cancelled());
}

// Counts of many points, a row for each combination of the outermost axes.
std::vector<std::string> SummedLines(const Groups& groups, const PointRows& rows,
                                     const Terminal& terminal) {
  struct Summed {
    std::vector<std::string> values;
    v1::JobCounts counts;
    double done = 0;
    double total = 0;
  };
  const size_t axes = rows.Fold(kMaxPointRowsShown);
  std::vector<Summed> sums;
  std::map<std::string, size_t> index;
  for (int i = 0; i < groups.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    const auto [found, is_new] = index.emplace(rows.Leading(at, axes), sums.size());
    if (is_new) {
      const std::vector<std::string>& values = rows.values[at];
      sums.emplace_back().values.assign(values.begin(),
                                        values.begin() + static_cast<ptrdiff_t>(axes));
    }
    Summed& sum = sums[found->second];
    AddCounts(groups[i].counts(), &sum.counts);
    sum.done += static_cast<double>(groups[i].steps_done());
    sum.total +=
        static_cast<double>(groups[i].steps()) * static_cast<double>(SumOf(groups[i].counts()));
  }
  std::vector<Table::Column> columns;
  for (size_t axis = 0; axis < axes; ++axis) columns.push_back({rows.axes[axis], Align::kRight});
  AddCountColumns({}, &columns);
  Table table(std::move(columns));
  for (const Summed& sum : sums) {
    std::vector<std::string> cells = sum.values;
    AddCountCells(sum.counts, {Percent(sum.done, sum.total), {}}, &cells);
    table.AddRow(std::move(cells));
  }
  return table.Lines(terminal.width, std::max<size_t>(1, axes));
}

// Draws the tables, one for each combination of the first `heading` axes.
class PointTables {
 public:
  PointTables(const SweepModel& model, const PointRows& rows, const Terminal& terminal)
      : model_(model),
        rows_(rows),
        terminal_(terminal),
        primary_(PrimaryMetricsOf(model.sweep().spec())),
        heading_(HeadingAxes(rows, terminal)) {
    for (const auto& [id, job] : model.jobs()) {
      jobs_[spec::PointText(job.point(), job.task(), job.depth())][job.seed()] = &job;
      seeds_.insert(job.seed());
    }
    cells_ = model.has_jobs() && seeds_.size() <= kMaxSeedsInColumns;
  }

  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    for (size_t group = 0; group < rows_.values.size();) {
      const std::string title = rows_.Leading(group, heading_);
      lines.push_back("");
      if (heading_ > 0) lines.push_back(Paint(terminal_, Colour::kBold, title));
      Table table(Columns());
      for (; group < rows_.values.size() && rows_.Leading(group, heading_) == title; ++group)
        table.AddRow(Row(group));
      const size_t pinned = std::max<size_t>(1, rows_.axes.size() - heading_);
      for (std::string& line : table.Lines(terminal_.width, pinned))
        lines.push_back(std::move(line));
    }
    if (cells_) {
      lines.push_back("");
      for (std::string& line : LegendLines(terminal_, primary_)) lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  std::vector<Table::Column> Columns() const {
    std::vector<Table::Column> columns;
    for (size_t axis = heading_; axis < rows_.axes.size(); ++axis)
      columns.push_back({rows_.axes[axis], Align::kRight});
    for (const uint32_t seed : seeds_) {
      if (cells_) columns.push_back({absl::StrCat("seed ", seed)});
    }
    if (!cells_) AddCountColumns(primary_, &columns);
    return columns;
  }

  std::vector<std::string> Row(size_t group) {
    const v1::GroupSummary& summary = model_.sweep().groups(static_cast<int>(group));
    const SeedJobs& jobs = jobs_[GroupName(summary)];
    const std::vector<std::string>& values = rows_.values[group];
    std::vector<std::string> row(values.begin() + static_cast<ptrdiff_t>(heading_), values.end());
    if (!cells_) {
      AddCountCells(model_.has_jobs() ? CountsOf(jobs) : summary.counts(),
                    ProgressOf(summary, jobs, model_.has_jobs(), primary_), &row);
      return row;
    }
    for (const uint32_t seed : seeds_) {
      const auto job = jobs.find(seed);
      row.push_back(job == jobs.end() ? "" : JobCell(*job->second, primary_, terminal_));
    }
    return row;
  }

  const SweepModel& model_;
  const PointRows& rows_;
  const Terminal terminal_;
  const PrimaryMetrics primary_;
  const size_t heading_;
  std::map<std::string, SeedJobs> jobs_;
  std::set<uint32_t> seeds_;
  bool cells_ = false;  // one for each job
};

}  // namespace

std::vector<std::string> PointLines(const SweepModel& model, const Terminal& terminal) {
  const Groups& groups = model.sweep().groups();
  const PointRows rows = PointRowsOf(groups);
  if (rows.values.size() <= kMaxPointRowsShown) return PointTables(model, rows, terminal).Lines();
  std::vector<std::string> lines = {""};
  for (std::string& line : SummedLines(groups, rows, terminal)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace coppice::cli
