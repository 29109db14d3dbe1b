// bench_trainer: the trainer's speed, beside that of the same model written with stock modules.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/report/machine.h"
#include "bench/trainer/contestant.h"
#include "bench/trainer/flops.h"
#include "bench/trainer/guard.h"
#include "bench/trainer/race.h"
#include "bench/trainer/same_model.h"
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
constexpr int64_t kFlopSteps = 500;

struct Options {
  RaceOptions race;
  bool quick = false;
  bool limits = false;
  std::string guard, record;
};

// Also proves that the baselines train the same model; for the brief race a test does that.
absl::StatusOr<Figures> RaceOn(int index, const RaceOptions& options) {
  const trainer::RunConfig run = RunOf(Configurations()[index]);
  COPPICE_ASSIGN_OR_RETURN(const trainer::Dataset dataset, MakeData(run));
  if (!options.brief) {
    COPPICE_RETURN_IF_ERROR(CheckSameModel(BaselineKind::kEager, run, dataset));
    COPPICE_RETURN_IF_ERROR(CheckSameModel(BaselineKind::kTuned, run, dataset));
  }
  double flops = 0;
  for (int seed = 0; seed < options.cores; ++seed) {
    flops += CountFlops(ShapeOf(run, dataset),
                        SequenceLengths(run, dataset, static_cast<uint64_t>(seed), kFlopSteps))
                 .total();
  }
  return Race(index, flops / options.cores / kFlopSteps, options);
}

absl::StatusOr<std::map<int, Figures>> RaceAll(const RaceOptions& options, bool small) {
  std::map<int, Figures> figures;
  for (int i = 0; i < static_cast<int>(Configurations().size()); ++i) {
    if (small && !Configurations()[i].small) continue;
    COPPICE_ASSIGN_OR_RETURN(figures[i], RaceOn(i, options));
  }
  return figures;
}

absl::Status PrintSpeeds(const Options& options) {
  COPPICE_ASSIGN_OR_RETURN(const auto figures, RaceAll(options.race, /*small=*/false));
  std::printf(
      "\nSeed-steps a second%s on %d cores (batch 8, float32, question task). (2x1): two seeds at\n"
      "a time with one thread each was the faster way for that baseline; (1x2): one seed with two\n"
      "threads. Ours: one seed a core. Products alone: the matrix products of ours and nothing "
      "else,\n"
      "what this BLAS would allow.\n\n%s\n",
      options.race.cpu_time ? " of CPU time" : "", options.race.cores, SpeedTable(figures).c_str());
  const int missed = MissedTargets(figures);
  if (missed == 0) return absl::OkStatus();
  std::printf("%d targets missed%s\n", missed, options.quick ? " (not judged: --quick)" : "");
  return options.quick ? absl::OkStatus() : absl::UnknownError("");
}

// The key of a recorded ratio. CPUs of one name may compute products differently.
std::string GuardedMachine() {
  return absl::StrCat(MachineName(), ", ", trainer::DetectBlas().name);
}

absl::Status Record(const Options& options) {
  COPPICE_ASSIGN_OR_RETURN(const auto figures, RaceAll(options.race, /*small=*/true));
  Recorded recorded{GuardedMachine(), COPPICE_VERSION, {}};
  for (const auto& [index, row] : figures)
    recorded.over_eager[Configurations()[index].name] = row.over_eager;
  return WriteRecord(options.record, recorded);
}

// A single slow run may be the machine's fault, so a ratio below the limit is measured once more.
absl::Status Guard(const Options& options) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Recorded> records, ReadRecords(options.guard));
  const std::string machine = GuardedMachine();
  const Recorded* const recorded = FindRecord(records, machine);
  if (recorded == nullptr) {
    std::printf("No ratios are recorded of such a machine (%s): these are shown and not judged.\n",
                machine.c_str());
  }
  COPPICE_ASSIGN_OR_RETURN(const auto figures, RaceAll(options.race, /*small=*/true));
  for (const auto& [index, row] : figures) {
    const std::string& name = Configurations()[index].name;
    double ratio = row.over_eager;
    if (recorded != nullptr && !Judge(*recorded, name, ratio).ok()) {
      COPPICE_ASSIGN_OR_RETURN(const Figures again, RaceOn(index, options.race));
      ratio = std::max(ratio, again.over_eager);
      COPPICE_RETURN_IF_ERROR(Judge(*recorded, name, ratio));
    }
    std::printf("%s: ours is %.2f times as fast as eager", name.c_str(), ratio);
    if (recorded != nullptr)
      std::printf(", at least %.2f is asked for", LowestRatio(*recorded, name));
    std::printf("\n");
  }
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  if (options.limits) {
    COPPICE_ASSIGN_OR_RETURN(const std::string table, LimitsTable());
    std::printf("%s", table.c_str());
    return absl::OkStatus();
  }
  std::printf("%s", Header().c_str());
  std::fflush(stdout);
  if (!options.guard.empty()) return Guard(options);
  if (!options.record.empty()) return Record(options);
  return PrintSpeeds(options);
}

// Started by race.cc; not for people.
int ContestantMain(char** words) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Process process;
  process.contestant = static_cast<Contestant>(std::stoi(words[0]));
  process.configuration = std::stoi(words[1]);
  process.seed = std::stoull(words[2]);
  process.threads = std::stoi(words[3]);
  process.seconds = std::stod(words[4]);
  process.cpu_time = std::string(words[5]) == "cpu";
  const absl::Status status = RunContestant(process, STDIN_FILENO, STDOUT_FILENO);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_trainer: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

int Main(int argc, char** argv) {
  InitLogging("bench", "error").IgnoreError();
  if (argc == 8 && std::string(argv[1]) == "contestant") return ContestantMain(argv + 2);
  Options options;
  options.race.cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  CLI::App app("Trains the same models with stock LibTorch modules and with Coppice's trainer.",
               "bench_trainer");
  app.add_flag("--quick", options.quick, "One second a measurement; targets are not judged");
  app.add_option("--rounds", options.race.rounds, "Rounds; figures are medians over them")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI::Option* seconds = app.add_option("--seconds", options.race.seconds, "Of a measurement")
                             ->check(CLI::Range(0.1, 3600.0))
                             ->capture_default_str();
  app.add_option("--cores", options.race.cores, "Cores that every contestant uses")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--cpu-time", options.race.cpu_time,
               "Rates by CPU time instead of the clock: for a machine that also does other work");
  CLI::Option* guard =
      app.add_option("--guard", options.guard,
                     "Only compares the small models' ratios with this file; 1 when too slow, "
                     "never on a machine of which it has no record")
          ->check(CLI::ExistingFile);
  app.add_option("--record", options.record, "Only writes this machine's record into that file")
      ->excludes(guard);
  app.add_flag("--limits", options.limits, "Only prints what a step computes and moves at least");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (!options.guard.empty() || !options.record.empty()) {
    options.quick = true;
    options.race.brief = true;
    options.race.cpu_time = true;
  }
  if (options.quick && seconds->count() == 0) options.race.seconds = 1;
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  if (!status.message().empty())
    std::fprintf(stderr, "bench_trainer: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

}  // namespace
}  // namespace coppice::bench

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kEndsProgram);
  try {
    return coppice::bench::Main(argc, argv);
  } catch (const std::exception& error) {  // from LibTorch
    std::fprintf(stderr, "bench_trainer: %s\n", error.what());
    return coppice::bench::kFailed;
  }
}
