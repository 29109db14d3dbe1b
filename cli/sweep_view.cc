#include "cli/sweep_view.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/format.h"
#include "cli/point_view.h"
#include "cli/select.h"
#include "cli/table.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxSeedColumns = 20;
constexpr size_t kMaxReasons = 6;

struct StateStyle {
  v1::JobState state;
  const char* symbol;
  const char* ascii;
  Colour colour;
};
constexpr StateStyle kStateStyles[] = {
    {v1::PENDING, "·", ".", Colour::kDim},      {v1::RUNNING, "▶", ">", Colour::kBlue},
    {v1::SUCCEEDED, "✓", "+", Colour::kGreen},  {v1::FAILED, "✗", "x", Colour::kRed},
    {v1::CANCELLED, "–", "-", Colour::kYellow},
};

const StateStyle& StyleOf(v1::JobState state) {
  for (const StateStyle& style : kStateStyles) {
    if (style.state == state) return style;
  }
  return kStateStyles[0];
}

std::string MetricText(const v1::Job& job, const char* name) {
  double value = 0;
  const bool known = LatestMetric(job, name, &value);
  return FormatAccuracy(value, known);
}

// The jobs of one task, by depth and seed.
using Grid = std::map<uint32_t, SeedJobs>;

std::vector<std::string> CellTable(const Grid& grid, const std::set<uint32_t>& seeds,
                                   const PrimaryMetrics& primary, const Terminal& terminal) {
  std::vector<Table::Column> columns = {{"depth", Align::kRight}};
  for (const uint32_t seed : seeds) columns.push_back({absl::StrCat("seed ", seed)});
  Table table(std::move(columns));
  for (const auto& [depth, row] : grid) {
    std::vector<std::string> cells = {absl::StrCat(depth)};
    for (const uint32_t seed : seeds) {
      const auto job = row.find(seed);
      cells.push_back(job == row.end() ? "" : JobCell(*job->second, primary, terminal));
    }
    table.AddRow(std::move(cells));
  }
  return table.Lines(terminal.width);
}

// Mean of a metric over the jobs that report it.
std::string Mean(const SeedJobs& jobs, const std::string& name, const PrimaryMetrics& primary) {
  double sum = 0;
  int count = 0;
  for (const auto& [seed, job] : jobs) {
    double value = 0;
    if (!LatestMetric(*job, name, &value)) continue;
    sum += value;
    ++count;
  }
  return MetricCell(primary, count == 0 ? 0 : sum / count, count > 0);
}

// A row per depth: the groups' counts and, if single jobs are known, their latest values.
std::vector<std::string> CountTable(const SweepModel& model, const std::string& task,
                                    const Grid& grid, const PrimaryMetrics& primary,
                                    const Terminal& terminal) {
  std::vector<Table::Column> columns = {{"depth", Align::kRight}};
  AddCountColumns(primary, &columns);
  Table table(std::move(columns));
  for (const v1::GroupSummary& group : model.sweep().groups()) {
    if (group.task() != task) continue;
    const auto row = grid.find(group.depth());
    const bool known = row != grid.end();
    std::vector<std::string> cells = {absl::StrCat(group.depth())};
    const SeedJobs jobs = known ? row->second : SeedJobs();
    AddCountCells(known ? CountsOf(jobs) : group.counts(), ProgressOf(group, jobs, known, primary),
                  &cells);
    table.AddRow(std::move(cells));
  }
  return table.Lines(terminal.width);
}

std::string Rate(const v1::SweepSummary& summary) {
  return FormatSteps(static_cast<uint64_t>(std::clamp(summary.seed_steps_per_second(), 0.0, 1e18)));
}

void AppendLines(std::vector<std::string>* to, const std::vector<std::string>& more) {
  to->insert(to->end(), more.begin(), more.end());
}

// Lists the running jobs that do not report; empty if all report.
std::vector<std::string> SilenceLines(const v1::SweepSummary& summary, const Terminal& terminal) {
  if (summary.silent_jobs() == 0) return {};
  std::vector<std::string> parts = {
      absl::StrCat("no report for ", summary.silent_seconds(), " s from ",
                   FormatCount(summary.silent_jobs()), " running ",
                   summary.silent_jobs() == 1 ? "job;" : "jobs;"),
      "`coppice why JOB` says more"};
  std::vector<std::string> lines = Flow(parts, " ", terminal.width);
  for (std::string& line : lines) line = Paint(terminal, Colour::kYellow, line);
  return lines;
}

}  // namespace

std::string StateSymbol(const Terminal& terminal, v1::JobState state) {
  const StateStyle& style = StyleOf(state);
  return Paint(terminal, style.colour, terminal.unicode ? style.symbol : style.ascii);
}

std::string JobCell(const v1::Job& job, const PrimaryMetrics& primary, const Terminal& terminal) {
  if (job.state() == v1::PENDING && job.step() == 0) return StateSymbol(terminal, job.state());
  std::string text = absl::StrCat(StateSymbol(terminal, job.state()), " ", FormatSteps(job.step()));
  std::vector<std::string> values;
  bool any = false;
  for (const std::string& name : primary.names) {
    double value = 0;
    const bool known = LatestMetric(job, name, &value);
    any |= known;
    values.push_back(MetricCell(primary, value, known));
  }
  if (any) absl::StrAppend(&text, " ", absl::StrJoin(values, "/"));
  return text;
}

uint64_t SumOf(const v1::JobCounts& c) {
  return c.pending() + c.running() + c.succeeded() + c.failed() + c.cancelled();
}

v1::JobCounts CountsOf(const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups) {
  v1::JobCounts sum;
  for (const v1::GroupSummary& group : groups) {
    const v1::JobCounts& counts = group.counts();
    sum.set_pending(sum.pending() + counts.pending());
    sum.set_running(sum.running() + counts.running());
    sum.set_succeeded(sum.succeeded() + counts.succeeded());
    sum.set_failed(sum.failed() + counts.failed());
    sum.set_cancelled(sum.cancelled() + counts.cancelled());
  }
  return sum;
}

std::string Percent(double done, double total) {
  // Truncated, not rounded: 100% only at the end.
  return total > 0
             ? absl::StrFormat(
                   "%d%%", static_cast<int>(std::floor(std::clamp(done / total, 0.0, 1.0) * 100)))
             : "-";
}

void AddCountColumns(const PrimaryMetrics& primary, std::vector<Table::Column>* columns) {
  for (const char* name :
       {"jobs", "pending", "running", "succeeded", "failed", "cancelled", "steps"})
    columns->push_back({name, Align::kRight});
  for (const std::string& name : primary.headers) columns->push_back({name, Align::kRight});
}

void AddCountCells(const v1::JobCounts& counts, const GroupProgress& progress,
                   std::vector<std::string>* cells) {
  const auto count = [](uint64_t n) { return n == 0 ? std::string("-") : FormatCount(n); };
  cells->push_back(FormatCount(SumOf(counts)));
  for (const uint64_t n : {counts.pending(), counts.running(), counts.succeeded(), counts.failed(),
                           counts.cancelled()})
    cells->push_back(count(n));
  cells->push_back(progress.percent);
  cells->insert(cells->end(), progress.metrics.begin(), progress.metrics.end());
}

v1::JobCounts CountsOf(const SeedJobs& jobs) {
  std::map<v1::JobState, uint64_t> states;
  for (const auto& [seed, job] : jobs) ++states[job->state()];
  v1::JobCounts counts;
  counts.set_pending(states[v1::PENDING]);
  counts.set_running(states[v1::RUNNING]);
  counts.set_succeeded(states[v1::SUCCEEDED]);
  counts.set_failed(states[v1::FAILED]);
  counts.set_cancelled(states[v1::CANCELLED]);
  return counts;
}

GroupProgress ProgressOf(const v1::GroupSummary& group, const SeedJobs& jobs, bool known,
                         const PrimaryMetrics& primary) {
  uint64_t count = SumOf(group.counts());
  uint64_t done = group.steps_done();
  if (known) {
    count = jobs.size();
    done = 0;
    for (const auto& [seed, job] : jobs) done += job->step();
  }
  GroupProgress progress;
  progress.percent = Percent(static_cast<double>(done),
                             static_cast<double>(group.steps()) * static_cast<double>(count));
  for (const std::string& name : primary.names)
    progress.metrics.push_back(known ? Mean(jobs, name, primary) : "-");
  return progress;
}

std::vector<std::string> CountsParts(const Terminal& terminal, const v1::JobCounts& counts) {
  std::vector<std::string> parts;
  const auto add = [&](uint64_t count, v1::JobState state) {
    if (count == 0) return;
    parts.push_back(Paint(terminal, StyleOf(state).colour,
                          absl::StrCat(FormatCount(count), " ", StateWord(state))));
  };
  add(counts.succeeded(), v1::SUCCEEDED);
  add(counts.failed(), v1::FAILED);
  add(counts.cancelled(), v1::CANCELLED);
  add(counts.running(), v1::RUNNING);
  add(counts.pending(), v1::PENDING);
  return parts;
}

std::string CountsText(const Terminal& terminal, const v1::JobCounts& counts) {
  return absl::StrJoin(CountsParts(terminal, counts), ", ");
}

bool AllSucceeded(const v1::SweepSummary& summary) {
  return summary.counts().failed() == 0 && summary.counts().cancelled() == 0;
}

double Fraction(const v1::SweepSummary& summary) {
  if (summary.steps_total() == 0) return 0;
  return std::min(
      1.0, static_cast<double>(summary.steps_done()) / static_cast<double>(summary.steps_total()));
}

std::vector<std::string> SummaryLines(const v1::SweepSummary& summary, const Terminal& terminal) {
  const v1::JobCounts& counts = summary.counts();
  std::vector<std::string> head = {
      absl::StrCat(Paint(terminal, Colour::kBold, summary.name()), ":"),
      absl::StrCat(FormatCount(summary.jobs()), summary.jobs() == 1 ? " job:" : " jobs:")};
  const std::vector<std::string> parts = CountsParts(terminal, counts);
  for (size_t i = 0; i < parts.size(); ++i)
    head.push_back(absl::StrCat(parts[i], i + 1 < parts.size() ? "," : ""));
  if (summary.paused())
    head.push_back(absl::StrCat(" ", Paint(terminal, Colour::kYellow, "paused")));
  std::vector<std::string> bar = {absl::StrCat(ProgressBar(terminal, Fraction(summary), 22), " ",
                                               Percent(static_cast<double>(summary.steps_done()),
                                                       static_cast<double>(summary.steps_total()))),
                                  absl::StrCat(FormatSteps(summary.steps_done()), " of ",
                                               FormatSteps(summary.steps_total()), " steps")};
  if (counts.pending() + counts.running() == 0) {
    if (summary.finished_ms() > summary.created_ms()) {
      bar.push_back(absl::StrCat(
          "ended after ",
          FormatDuration(static_cast<double>(summary.finished_ms() - summary.created_ms()) / 1e3)));
    }
  } else {
    bar.push_back(absl::StrCat(Rate(summary), " steps/s"));
    bar.push_back(absl::StrCat(summary.workers(), summary.workers() == 1 ? " worker" : " workers"));
    bar.push_back(absl::StrCat("ETA ", FormatDuration(summary.eta_seconds())));
  }
  std::vector<std::string> lines = Flow(head, " ", terminal.width);
  AppendLines(&lines, Flow(bar, "  ", terminal.width));
  AppendLines(&lines, SilenceLines(summary, terminal));
  return lines;
}

std::vector<std::string> AnnotationLines(const v1::SweepSummary& summary,
                                         const Terminal& terminal) {
  std::vector<std::string> lines;
  if (!summary.tags().empty()) {
    std::vector<std::string> parts = {"tags:"};
    for (const std::string& tag : summary.tags())
      parts.push_back(absl::StrCat(tag, &tag == &*summary.tags().rbegin() ? "" : ","));
    lines = Flow(parts, " ", terminal.width);
  }
  if (summary.note().empty()) return lines;
  const std::string note = absl::StrCat("note: ", Printable(summary.note()));
  for (const absl::string_view line : absl::StrSplit(note, '\n'))
    AppendLines(&lines, Flow(absl::StrSplit(line, ' '), " ", terminal.width));
  return lines;
}

std::vector<std::string> LegendLines(const Terminal& terminal, const PrimaryMetrics& primary) {
  std::vector<std::string> parts;
  for (const StateStyle& style : kStateStyles) {
    parts.push_back(absl::StrCat(StateSymbol(terminal, style.state), " ", StateWord(style.state)));
  }
  parts.push_back(primary.accuracies ? " step, in-domain/generalization accuracy"
                                     : absl::StrCat(" step", primary.names.empty() ? "" : ", ",
                                                    absl::StrJoin(primary.names, "/")));
  return Flow(parts, "  ", terminal.width);
}

std::vector<std::string> ReasonLines(const SweepModel& model, const Terminal& terminal,
                                     size_t most) {
  const uint64_t failed = model.narrowed() ? CountsOf(model.sweep().groups()).failed()
                                           : model.summary().counts().failed();
  std::vector<std::string> lines;
  if (failed == 0 && !model.has_jobs()) return lines;
  size_t known = 0;
  for (const auto& [id, job] : model.jobs()) known += job.state() == v1::FAILED ? 1 : 0;
  const uint64_t all = model.has_jobs() ? known : failed;
  // The last line counts the jobs that are left out.
  const size_t shown = all <= most ? most : most - 1;
  for (const auto& [id, job] : model.jobs()) {
    if (job.state() != v1::FAILED || lines.size() == shown) continue;
    std::string reason = Printable(job.reason());
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    lines.push_back(absl::StrCat(Paint(terminal, Colour::kRed, "failed"), " ", JobName(job),
                                 " at step ", job.step(), ": ", reason));
  }
  if (all > lines.size()) {
    const uint64_t more = all - lines.size();
    lines.push_back(absl::StrCat(lines.empty() ? "" : "and ", FormatCount(more),
                                 lines.empty() ? " failed" : " more", "; `coppice jobs ",
                                 model.summary().name(), " --state failed` lists them"));
  }
  return lines;
}

std::vector<std::string> GridLines(const SweepModel& model, const Terminal& terminal) {
  if (!IsClassic(model.sweep().groups())) return PointLines(model, terminal);
  const PrimaryMetrics primary = PrimaryMetricsOf(model.sweep().spec());
  std::vector<std::string> tasks;
  for (const v1::GroupSummary& group : model.sweep().groups()) {
    if (std::find(tasks.begin(), tasks.end(), group.task()) == tasks.end())
      tasks.push_back(group.task());
  }
  std::map<std::string, Grid> grids;
  std::set<uint32_t> seeds;
  for (const auto& [id, job] : model.jobs()) {
    grids[job.task()][job.depth()][job.seed()] = &job;
    seeds.insert(job.seed());
  }
  const bool cells = model.has_jobs() && seeds.size() <= kMaxSeedColumns;
  std::vector<std::string> lines;
  for (const std::string& task : tasks) {
    lines.push_back("");
    lines.push_back(Paint(terminal, Colour::kBold, task));
    const std::vector<std::string> table =
        cells ? CellTable(grids[task], seeds, primary, terminal)
              : CountTable(model, task, grids[task], primary, terminal);
    lines.insert(lines.end(), table.begin(), table.end());
  }
  if (cells && !tasks.empty()) {
    lines.push_back("");
    AppendLines(&lines, LegendLines(terminal, primary));
  }
  return lines;
}

std::vector<std::string> StatusLines(const SweepModel& model, const Terminal& terminal) {
  std::vector<std::string> lines = SummaryLines(model.summary(), terminal);
  if (model.narrowed()) {
    const v1::JobCounts shown = CountsOf(model.sweep().groups());
    lines.push_back(absl::StrCat("shown below: ", FormatCount(SumOf(shown)),
                                 " of them: ", CountsText(terminal, shown)));
  }
  for (const auto& more : {AnnotationLines(model.summary(), terminal), GridLines(model, terminal),
                           ReasonLines(model, terminal, kMaxReasons)}) {
    lines.insert(lines.end(), more.begin(), more.end());
  }
  return lines;
}

std::string ChangeLine(const SweepModel::Change& change) {
  const v1::Job& job = change.now;
  if (!change.is_job || change.before.state() == job.state()) return "";
  std::string line = absl::StrCat(JobName(job), " ", StateWord(job.state()));
  if (job.step() > 0) absl::StrAppend(&line, " at step ", job.step());
  if (job.state() == v1::RUNNING && !job.worker().empty())
    absl::StrAppend(&line, " on ", job.worker());
  if (job.state() == v1::SUCCEEDED && job.task().empty()) {
    // A program's own metrics, of which this line shows the first two.
    for (int i = 0; i < std::min(job.latest_size(), 2); ++i)
      absl::StrAppend(&line, i == 0 ? ": " : ", ", job.latest(i).name(), " ",
                      FormatShort(job.latest(i).value()));
  } else if (job.state() == v1::SUCCEEDED) {
    absl::StrAppend(&line, ": id ", MetricText(job, "id_accuracy"), ", gen ",
                    MetricText(job, "gen_accuracy"));
  } else if (job.state() != v1::RUNNING && !job.reason().empty()) {
    absl::StrAppend(&line, ": ", Printable(job.reason()));
  }
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::string ProgressLine(const v1::SweepSummary& summary) {
  const v1::JobCounts& counts = summary.counts();
  std::string line =
      absl::StrCat(summary.name(), " ",
                   Percent(static_cast<double>(summary.steps_done()),
                           static_cast<double>(summary.steps_total())),
                   ": ", FormatCount(counts.succeeded() + counts.failed() + counts.cancelled()),
                   " of ", FormatCount(summary.jobs()), " jobs ended");
  if (counts.pending() + counts.running() == 0) return line;
  if (summary.seed_steps_per_second() <= 0) {
    // Trainers that have just begun have not reported their speed yet.
    absl::StrAppend(&line, ", ", FormatCount(counts.running()), " running");
    return line;
  }
  absl::StrAppend(&line, ", ", Rate(summary), " steps/s, ETA ",
                  FormatDuration(summary.eta_seconds()));
  return line;
}

}  // namespace coppice::cli
