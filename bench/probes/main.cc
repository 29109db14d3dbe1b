// bench_probes: the share of a run's time that its probes take, and the share that one pass per
// span would take.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/probes/measure.h"
#include "bench/probes/same_scores.h"
#include "bench/probes/settings.h"
#include "bench/report/markdown.h"
#include "bench/trainer/table.h"
#include "bench/trainer/workload.h"
#include "common/base/logging.h"
#include "common/base/process_start.h"
#include "common/base/status_macros.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::bench {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int64_t kProofRows = 1500;      // rows of one pass per span
constexpr int64_t kProofTraining = 5000;  // training sentences from which the proof's sample is
                                          // drawn

struct Options {
  Effort effort;
  std::string only;
  bool whole = false;
  bool quick = false;
};

absl::Status Prove(trainer::RunConfig run) {
  trainer::PrepareComputeThread();
  run = WithPartOfTheEvaluation(run, run.data.val);
  run.data.train = kProofTraining;
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(run));
  return CheckSameScores(run, dataset, kProofRows);
}

std::vector<std::string> Row(const Setting& setting, const Measured& measured) {
  const Costs& costs = measured.costs;
  std::string verdict;
  if (setting.largest_share > 0)
    verdict = measured.share <= setting.largest_share ? "PASS" : "MISS";
  return {setting.name,
          Number(1000 * costs.step),
          Number(static_cast<double>(setting.run.report.every) * costs.step),
          Number(costs.evaluation),
          Number(costs.probe),
          absl::StrFormat("%.1f%%", 100 * measured.share),
          verdict,
          Number(costs.per_span),
          Number(measured.ratio),
          Number(static_cast<double>(costs.rows)),
          Number(static_cast<double>(costs.per_span_rows)),
          absl::StrCat(Number(costs.probe_scaling), ", ", Number(costs.per_span_scaling))};
}

absl::Status Run(const Options& options) {
  std::printf("%s", Header().c_str());
  std::fflush(stdout);
  std::vector<std::vector<std::string>> rows = {
      {"run", "a step, ms", "steps of a report, s", "evaluation, s", "probes, s", "share", "<= 10%",
       "one pass per span, s", "ratio", "rows", "rows, per span", "a row in a quarter"}};
  int missed = 0;
  for (const Setting& setting : ProbeSettings()) {
    if (!absl::StrContains(setting.name, options.only)) continue;
    COPPICE_RETURN_IF_ERROR(Prove(setting.run));
    Effort effort = options.effort;
    if (options.whole) {
      effort.per_word_rows = std::numeric_limits<int64_t>::max();
      effort.evaluation_part = 1;
    }
    COPPICE_ASSIGN_OR_RETURN(const Measured measured, MeasureCosts(setting.run, effort));
    rows.push_back(Row(setting, measured));
    missed += rows.back()[6] == "MISS" ? 1 : 0;
    std::fprintf(stderr, "%s: probes take %s of the time\n", setting.name.c_str(),
                 rows.back()[5].c_str());
  }
  std::printf(
      "\nCPU seconds of one thread, one seed (batch 8, float32). %s and one\n"
      "pass per span were measured on some of the sentences and scaled by rows; the last column "
      "is\n"
      "what a row cost in a quarter of those, over what it cost in all of them (probes, one pass "
      "per\n"
      "span): 1 where cost is proportional to rows. Both gave the same scores. Evaluation: 1/%d "
      "of\n"
      "it, scaled.\n\n%s\n",
      options.whole ? "The probes were measured whole," : "The probes",
      options.whole ? 1 : static_cast<int>(options.effort.evaluation_part),
      MarkdownTable(rows, "lrrrrrlrrrrr").c_str());
  if (missed == 0) return absl::OkStatus();
  std::printf("%d targets missed%s\n", missed, options.quick ? " (not judged: --quick)" : "");
  return options.quick ? absl::OkStatus() : absl::UnknownError("");
}

int Main(int argc, char** argv) {
  InitLogging("bench", "error").IgnoreError();
  Options options;
  CLI::App app("Times the probes beside training and beside one forward pass per span.",
               "bench_probes");
  app.add_flag("--quick", options.quick, "One round on few sentences; targets are not judged");
  app.add_flag("--whole", options.whole, "All sentences of probes and evaluation, none inferred");
  app.add_option("--only", options.only, "Only the runs whose name has this in it");
  CLI::Option* rounds =
      app.add_option("--rounds", options.effort.rounds, "Rounds; figures are medians over them")
          ->check(CLI::Range(1, 1000))
          ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (options.quick) {
    if (rounds->count() == 0) options.effort.rounds = 1;
    options.effort.per_word_rows = 10000;
    options.effort.per_span_rows = 2000;
    options.effort.seconds = 1;
  }
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  if (!status.message().empty())
    std::fprintf(stderr, "bench_probes: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

}  // namespace
}  // namespace coppice::bench

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kEndsProgram);
  try {
    return coppice::bench::Main(argc, argv);
  } catch (const std::exception& error) {  // from LibTorch
    std::fprintf(stderr, "bench_probes: %s\n", error.what());
    return coppice::bench::kFailed;
  }
}
