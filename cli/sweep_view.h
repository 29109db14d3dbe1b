// The text form of a sweep: the totals, a depth x seed table per task (or a point x seed table),
// and the failures.
#ifndef COPPICE_CLI_SWEEP_VIEW_H_
#define COPPICE_CLI_SWEEP_VIEW_H_

#include <map>
#include <string>
#include <vector>

#include "cli/points.h"
#include "cli/sweep_model.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "4 succeeded, 2 running, 6 pending", without zero counts.
std::string CountsText(const Terminal& terminal, const v1::JobCounts& counts);

// Returns whether an ended sweep has no failed and no cancelled job.
bool AllSucceeded(const v1::SweepSummary& summary);

// A job's state as one character: ">", or "▶" on a Unicode terminal.
std::string StateSymbol(const Terminal& terminal, v1::JobState state);

// Explains the symbols, in as many lines as the terminal's width requires.
std::vector<std::string> LegendLines(const Terminal& terminal, const PrimaryMetrics& primary);

// The jobs of one group by seed.
using SeedJobs = std::map<uint32_t, const v1::Job*>;

v1::JobCounts CountsOf(const SeedJobs& jobs);

struct GroupProgress {
  std::string percent;  // of all steps
  std::vector<std::string>
      metrics;  // the primary ones: mean over the jobs that report it; "-": none
};
// Computed from the jobs if they are `known`, otherwise from the group alone.
GroupProgress ProgressOf(const v1::GroupSummary& group, const SeedJobs& jobs, bool known,
                         const PrimaryMetrics& primary);

// "40%", never rounded up to 100%; "-" if there is nothing to do.
std::string Percent(double done, double total);

uint64_t SumOf(const v1::JobCounts& counts);
v1::JobCounts CountsOf(const google::protobuf::RepeatedPtrField<v1::GroupSummary>& groups);

// A job's symbol, step and primary metrics: "▶ 300 0.98/0.31".
std::string JobCell(const v1::Job& job, const PrimaryMetrics& primary, const Terminal& terminal);

// The columns of a table of groups after those that name the group, and their cells.
void AddCountColumns(const PrimaryMetrics& primary, std::vector<Table::Column>* columns);
void AddCountCells(const v1::JobCounts& counts, const GroupProgress& progress,
                   std::vector<std::string>* cells);

// Share of finished steps, in [0, 1].
double Fraction(const v1::SweepSummary& summary);

// "demo: 12 jobs: ...", the progress bar with throughput and ETA, and a line about running jobs
// that do not report. These take more lines on a narrower terminal.
std::vector<std::string> SummaryLines(const v1::SweepSummary& summary, const Terminal& terminal);

// "tags: a, b" and "note: ...", as far as the sweep has them. A note of several lines keeps them.
std::vector<std::string> AnnotationLines(const v1::SweepSummary& summary, const Terminal& terminal);

// The reasons of failed jobs, then the number of the others, in at most `most` lines.
std::vector<std::string> ReasonLines(const SweepModel& model, const Terminal& terminal,
                                     size_t most);

// One table per task. Up to 20 seeds it has a cell per job (symbol, step, in-domain/generalization
// accuracy), beyond that a row of counts and means per depth. A sweep with axes of its own has a
// row per point, in one table for each combination of the outermost axes if there is no room for
// all.
std::vector<std::string> GridLines(const SweepModel& model, const Terminal& terminal);

// The whole status: totals, tags and note, tables, legend, and the reasons of up to five failed
// jobs.
std::vector<std::string> StatusLines(const SweepModel& model, const Terminal& terminal);

// The line that a pipe gets for a change: "question/2/0 succeeded at step 300: id 0.99, gen 0.31".
// Empty if the change needs no line.
std::string ChangeLine(const SweepModel::Change& change);

// "demo 40%: 5 of 12 jobs ended, 1.2k steps/s, ETA 2m 05s".
std::string ProgressLine(const v1::SweepSummary& summary);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SWEEP_VIEW_H_
