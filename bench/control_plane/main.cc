// bench_control_plane: the load that one coordinator sustains, measured over real gRPC on a real
// database.
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "bench/control_plane/bench.h"
#include "bench/control_plane/machine.h"
#include "bench/control_plane/overload.h"
#include "bench/report/machine.h"
#include "common/base/logging.h"
#include "common/base/process.h"
#include "common/base/process_start.h"
#include "common/base/user_folders.h"

namespace coppice::bench {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void AddFlags(CLI::App* app, Options* options) {
  app->add_option("--coordinator", options->coordinator, "The coppice-coordinator binary")
      ->required();
  app->add_option("--coppice", options->coppice, "The coppice binary, to time `coppice status`");
  app->add_option("--data-dir", options->data_dir,
                  "Folder on the disk to measure; a new folder in it is used and removed")
      ->default_val(TemporaryFolder());
  app->add_option("--jobs", options->jobs, "Jobs of the large sweep (a multiple of 10)")
      ->check(CLI::Range(100, 5'000'000))
      ->capture_default_str();
  app->add_option("--workers", options->workers, "Workers that register and send heartbeats")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app->add_option("--connections", options->connections, "Connections they share; 0: one each");
  app->add_option("--held", options->held, "Jobs that each worker runs throughout")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--active", options->active, "Workers that take and finish jobs of the sweep")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app->add_option("--values", options->values, "Values of a metric row")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_option("--seconds", options->seconds, "Of each phase")
      ->check(CLI::Range(0.5, 3600.0))
      ->capture_default_str();
  app->add_option("--heartbeat", options->heartbeat, "Seconds between two heartbeats of a worker")
      ->capture_default_str();
  app->add_option("--rate", options->rate, "Target of leases and completions a second")
      ->capture_default_str();
  app->add_option("--overload", options->overload, "Offered load over what the closed loop reached")
      ->capture_default_str();
  app->add_option("--overload-of", options->overload_of)->group("");
  app->add_option("--overload-checkpoints", options->overload_checkpoints)->group("");
  app->add_flag("--quick", options->quick,
                "Small: a check that nothing is lost; times are printed, not judged");
}

void MakeQuick(const CLI::App& app, Options* options) {
  const auto unless_given = [&](const char* flag, auto* value, auto small) {
    if (app.count(flag) == 0) *value = small;
  };
  unless_given("--jobs", &options->jobs, uint64_t{400'000});
  unless_given("--workers", &options->workers, 500u);
  unless_given("--active", &options->active, 100u);
  unless_given("--seconds", &options->seconds, 2.0);
  unless_given("--heartbeat", &options->heartbeat, 2.0);
  // Slow machines must finish, too.
  unless_given("--rate", &options->rate, 400.0);
}

// Empty: it cannot be created.
std::string MakeFolder(const std::string& parent) {
  std::string folder = absl::StrCat(parent, "/coppice-bench-XXXXXX");
  return ::mkdtemp(folder.data()) == nullptr ? "" : folder;
}

int Ended(const absl::Status& status) {
  if (status.ok()) return 0;
  if (!status.message().empty())
    std::fprintf(stderr, "bench_control_plane: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

int Main(int argc, char** argv) {
  SkipLockOrderChecks();
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // connections are killed on purpose
  CLI::App app("Drives a real coordinator with simulated workers and prints what it bears.",
               "bench_control_plane");
  Options options;
  AddFlags(&app, &options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (options.quick) MakeQuick(app, &options);
  options.active = std::min(options.active, options.workers);
  RaiseFileLimit();
  InitLogging("bench", "error").IgnoreError();
  if (!options.overload_of.empty()) return Ended(OverloadMain(options));
  const std::string folder = MakeFolder(options.data_dir);
  // As on a cluster, checkpoints are on another filesystem than the database. Memory suffices.
  std::string checkpoints = MakeFolder("/dev/shm");
  if (checkpoints.empty()) checkpoints = folder + "/checkpoints";
  if (folder.empty()) {
    std::fprintf(stderr,
                 "bench_control_plane: cannot make a folder in %s; name another with --data-dir\n",
                 options.data_dir.c_str());
    return kFailed;
  }
  const auto fsync = FsyncLatency(folder);
  std::printf(
      "# %s\n# database on %s, fsync of 4 KiB: median %s\n", DescribeMachine().c_str(),
      FilesystemOf(folder).c_str(),
      fsync.ok() ? absl::FormatDuration(*fsync).c_str() : fsync.status().ToString().c_str());
  absl::Status status;
  {
    Bench bench(options, folder, checkpoints);
    status = bench.Run();
    std::printf("\n%s\n", bench.table().Render().c_str());
    if (bench.table().missed() > 0)
      std::printf("%d targets missed%s\n", bench.table().missed(),
                  options.quick ? " (not judged: --quick)" : "");
    if (status.ok() && !options.quick && bench.table().missed() > 0)
      status = absl::UnknownError("");
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove_all(checkpoints, ignored);
  return Ended(status);
}

}  // namespace
}  // namespace coppice::bench

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kEndsProgram);
  return coppice::bench::Main(argc, argv);
}
