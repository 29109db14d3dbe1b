#include "bench/trainer/table.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/report/machine.h"
#include "bench/report/markdown.h"
#include "bench/trainer/flops.h"
#include "bench/trainer/workload.h"
#include "common/base/status_macros.h"
#include "worker/trainer/train/runtime.h"

namespace coppice::bench {
namespace {

// The bandwidth that large copies reach, of 4.8 TB/s by the data sheet.
constexpr double kH200BytesPerSecond = 4.3e12;
constexpr int64_t kLimitSteps = 500;

// "412 (2x1)".
std::string Rate(double rate, const Spread& spread) {
  return absl::StrCat(Number(rate), " (", spread.seeds, "x", spread.threads, ")");
}

absl::StatusOr<std::vector<std::string>> LimitsRow(const Configuration& configuration) {
  const trainer::RunConfig run = RunOf(configuration);
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(run));
  const trainer::ModelShape shape = ShapeOf(run, dataset);
  const std::vector<int64_t> lengths = SequenceLengths(run, dataset, /*seed=*/0, kLimitSteps);
  double rows = 0;
  for (const int64_t length : lengths) rows += static_cast<double>(length);
  const StepFlops flops = CountFlops(shape, lengths);
  const int64_t parameters = trainer::ParameterLayout(shape).parameter_count();
  const double bytes = ParameterBytes(parameters);
  return std::vector<std::string>{configuration.name,
                                  Number(static_cast<double>(parameters)),
                                  Number(rows / kLimitSteps),
                                  Number(flops.total() / kLimitSteps / 1e9),
                                  Number(100 * flops.attention / flops.total()),
                                  Number(bytes / 1e6),
                                  Number(flops.total() / kLimitSteps / bytes),
                                  Number(bytes / kH200BytesPerSecond * 1e6)};
}

}  // namespace

std::string Header() {
#ifdef __clang__
  constexpr const char* kCompiler = __VERSION__;  // begins with the compiler's name
#else
  constexpr const char* kCompiler = "GCC " __VERSION__;
#endif
  return absl::StrCat("# ", DescribeMachine(), "\n# ", kCompiler, ", LibTorch ",
                      trainer::LibTorchVersion(), ", BLAS ", trainer::DetectBlas().name, "\n");
}

std::string SpeedTable(const std::map<int, Figures>& figures) {
  std::vector<std::vector<std::string>> rows = {{"configuration", "eager", "tuned eager", "ours",
                                                 "ours / eager", "target", "", "ours / tuned",
                                                 "products alone", "share of sgemm peak"}};
  for (const auto& [index, row] : figures) {
    const Configuration& configuration = Configurations()[index];
    rows.push_back(
        {absl::StrCat("CPU, ", configuration.name), Rate(row.eager, row.eager_spread),
         Rate(row.tuned, row.tuned_spread), Number(row.ours), Number(row.over_eager),
         absl::StrCat(">= ", configuration.target),
         row.over_eager >= configuration.target ? "PASS" : "MISS", Number(row.over_tuned),
         Number(row.products),
         absl::StrFormat("%.0f%% of %.0f GFLOP/s", 100 * row.gemm_share, row.gemm / 1e9)});
  }
  for (const auto& [index, row] : figures) {
    rows.push_back({absl::StrCat("CUDA, ", Configurations()[index].name), "not measured: no GPU",
                    "", "", "", "", "", "", "", ""});
  }
  return MarkdownTable(rows, "lrrrrllrrr");
}

int MissedTargets(const std::map<int, Figures>& figures) {
  int missed = 0;
  for (const auto& [index, row] : figures)
    missed += row.over_eager < Configurations()[index].target ? 1 : 0;
  return missed;
}

absl::StatusOr<std::string> LimitsTable() {
  std::vector<std::vector<std::string>> rows = {{"model", "parameters P", "rows a step",
                                                 "GFLOP a step", "of it attention, %", "44 P, MB",
                                                 "FLOP a byte", "H200 at 4.3 TB/s, us"}};
  std::vector<Configuration> models = Configurations();
  for (const int64_t depth : {2, 4, 8, 10}) {
    Configuration model = Configurations().back();
    model.depth = depth;
    model.name = absl::StrCat("d=512, depth ", depth);
    models.push_back(model);
  }
  for (const Configuration& model : models) {
    COPPICE_ASSIGN_OR_RETURN(rows.emplace_back(), LimitsRow(model));
  }
  return MarkdownTable(rows, "lrrrrrrr");
}

}  // namespace coppice::bench
