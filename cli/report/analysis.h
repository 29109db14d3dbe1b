// Computes from series the statistics that figures and tables share.
#ifndef COPPICE_CLI_REPORT_ANALYSIS_H_
#define COPPICE_CLI_REPORT_ANALYSIS_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/report/comparison.h"
#include "cli/report/series.h"
#include "cli/report/statistics.h"

namespace coppice::cli {

// One counted job: it has reported, and it has succeeded or can still go on.
struct SeedResult {
  const JobSeries* job = nullptr;
  bool provisional = false;         // not ended: its latest values stand in for the final ones
  std::optional<double> final_id;   // last reported
  std::optional<double> final_gen;  // last reported
  std::optional<uint32_t> onset;    // first step from which gen_accuracy stays above kGeneralizes
  std::optional<EarlyStop> stop;
  std::optional<double> early_gen;  // gen_accuracy at the early-stopping checkpoint
};

struct DepthResult {
  uint32_t depth = 0;
  std::vector<SeedResult> seeds;  // the counted ones
  size_t jobs = 0;                // counted or not
  size_t provisional = 0;         // of `seeds`
  Moments id, gen, early;
  size_t above = 0;  // of gen.n
  Interval share = {0, 1};
};

struct TaskResult {
  std::string task;
  std::vector<DepthResult> depths;  // ascending
  Ranking ranking;                  // of the depths by their final gen_accuracy
  uint32_t first_step = 0;          // first step above 0 that any counted job has reported; 0: none
  uint32_t last_step = 0;           // last step that any counted job has reported
  bool has_step_0 = false;          // some counted job has reported step 0

  // The depth with the highest mean, whether or not the others are told apart from it.
  const DepthResult* highest() const {
    return ranking.highest.has_value() ? &depths[*ranking.highest] : nullptr;
  }
};

// Results are in the order of `series`, which must outlive them.
std::vector<TaskResult> Analyze(const SweepSeries& series);

// Curves of one metric over the counted seeds that have it.
std::vector<const Curve*> CurvesOf(const DepthResult& depth, Metric metric);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_REPORT_ANALYSIS_H_
