// From series to the statistics that figures and tables share.
#ifndef COPPICE_CLI_REPORT_ANALYSIS_H_
#define COPPICE_CLI_REPORT_ANALYSIS_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/report/comparison.h"
#include "cli/report/series.h"
#include "cli/report/statistics.h"

namespace coppice::cli {

// One job that counts: it has reported, and it succeeded or is still to go on.
struct SeedResult {
  const JobSeries* job = nullptr;
  bool provisional = false;         // not at its end: its latest values stand in for the final ones
  std::optional<double> final_id;   // last reported
  std::optional<double> final_gen;  // last reported
  std::optional<uint32_t> onset;    // first step from which gen_accuracy stays above kGeneralizes
  std::optional<EarlyStop> stop;
  std::optional<double> early_gen;  // gen_accuracy at the early-stopping checkpoint
};

struct DepthResult {
  uint32_t depth = 0;
  std::vector<SeedResult> seeds;  // those that count
  size_t jobs = 0;                // all of them
  size_t provisional = 0;         // of `seeds`
  Moments id, gen, early;
  size_t above = 0;  // of gen.n
  Interval share = {0, 1};
};

struct TaskResult {
  std::string task;
  std::vector<DepthResult> depths;  // ascending
  Ranking ranking;                  // of the depths by their final gen_accuracy
  uint32_t first_step = 0;          // above 0, that any counted job has reported; 0: none has
  uint32_t last_step = 0;           // that any counted job has reported
  bool has_step_0 = false;          // some counted job has reported before its first step

  // The depth with the highest mean, whether or not it is told apart from the others.
  const DepthResult* highest() const {
    return ranking.highest.has_value() ? &depths[*ranking.highest] : nullptr;
  }
};

// In the order of `series`, which must outlive the result.
std::vector<TaskResult> Analyze(const SweepSeries& series);

// Curves of one metric over the counted seeds that have it.
std::vector<const Curve*> CurvesOf(const DepthResult& depth, Metric metric);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_ANALYSIS_H_
