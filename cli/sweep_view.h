// How a sweep looks: the totals, a depth x seed table per task, what failed.
#ifndef COPPICE_CLI_SWEEP_VIEW_H_
#define COPPICE_CLI_SWEEP_VIEW_H_

#include <map>
#include <string>
#include <vector>

#include "cli/sweep_model.h"
#include "cli/terminal.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// "4 succeeded, 2 running, 6 pending": only what there is.
std::string CountsText(const Terminal& terminal, const v1::JobCounts& counts);

// Nothing failed and nothing was cancelled; of a sweep that has ended.
bool AllSucceeded(const v1::SweepSummary& summary);

// A job's state as one character: ">" or "▶" where the terminal has it.
std::string StateSymbol(const Terminal& terminal, v1::JobState state);

// What each symbol means, in as many lines as the terminal's width asks for.
std::vector<std::string> LegendLines(const Terminal& terminal);

// The jobs of one group by seed.
using SeedJobs = std::map<uint32_t, const v1::Job*>;

v1::JobCounts CountsOf(const SeedJobs& jobs);

struct GroupProgress {
  std::string percent;    // of all steps
  std::string in_domain;  // mean over the jobs that have it; "-": none
  std::string generalization;
};
// From the jobs where they are `known`, else what the group alone says.
GroupProgress ProgressOf(const v1::GroupSummary& group, const SeedJobs& jobs, bool known);

// Share of steps done, in [0, 1].
double Fraction(const v1::SweepSummary& summary);

// "demo: 12 jobs: ...", the line of the progress bar, throughput and ETA, and one about running
// jobs that do not report; more lines where the terminal is narrower than these.
std::vector<std::string> SummaryLines(const v1::SweepSummary& summary, const Terminal& terminal);

// At most `most` lines: why jobs failed, then how many more did.
std::vector<std::string> ReasonLines(const SweepModel& model, const Terminal& terminal,
                                     size_t most);

// One table per task: a cell per job (symbol, step, in-domain/generalization accuracy) up to 20
// seeds, beyond that a row of counts and means per depth.
std::vector<std::string> GridLines(const SweepModel& model, const Terminal& terminal);

// Everything: totals, tables, legend, the reasons of up to five failed jobs.
std::vector<std::string> StatusLines(const SweepModel& model, const Terminal& terminal);

// What a pipe is told of a change: "question/2/0 succeeded at step 300: id 0.99, gen 0.31". Empty
// when the change is none to tell.
std::string ChangeLine(const SweepModel::Change& change);

// "demo 40%: 5 of 12 jobs ended, 1.2k steps/s, ETA 2m 05s".
std::string ProgressLine(const v1::SweepSummary& summary);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SWEEP_VIEW_H_
