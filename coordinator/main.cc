// coppice-coordinator: wiring, flags, signals.

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/output.h"
#include "common/base/output_file.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/base/process_start.h"
#include "common/base/status_macros.h"
#include "common/base/stop_requests.h"
#include "common/base/usage.h"
#include "common/base/user_folders.h"
#include "common/rpc/tls_at_exit.h"
#include "coordinator/commands/backup.h"
#include "coordinator/commands/init_tls.h"
#include "coordinator/commands/pool_keeper.h"
#include "coordinator/commands/port_file.h"
#include "coordinator/commands/restore.h"
#include "coordinator/commands/serving.h"
#include "coordinator/commands/shutdown_watchdog.h"
#include "coordinator/commands/token.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/garbage_collector.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/server.h"
#include "coordinator/store/data_folder.h"
#include "coordinator/store/sqlite_store.h"

namespace coppice {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
// Time for calls in progress to end after a signal.
constexpr absl::Duration kShutdownGrace = absl::Seconds(2);
// Longer than an orderly shutdown takes on a working disk.
constexpr absl::Duration kShutdownLimit = absl::Seconds(20);

struct Flags {
  std::string data_dir;  // resolved before anything uses it
  std::string checkpoint_dir;
  std::string port_file;
  std::string lease = "60s";
  std::string heartbeat = "10s";
  std::string log_level = "info";
  std::string gc_every = "1h";
  std::string gc_min_age = "1h";
  bool accept_data_loss = false;
  bool pools_dry_run = false;
  bool slurm_by_client = false;
  commands::ServingFlags serving;
};

void AddFlags(CLI::App* app, Flags* flags) {
  app->add_option("--data-dir", flags->data_dir,
                  "Folder of the database (coppice.db), for its owner alone; created (default: "
                  "coppice/coordinator in XDG_STATE_HOME, ~/.local/state)");
  app->add_option(
      "--checkpoint-dir", flags->checkpoint_dir,
      "Folder of the checkpoints; created. On a filesystem that workers share they use it directly "
      "(default: DATA-DIR/checkpoints)");
  app->add_option("--port-file", flags->port_file, "Write HOST:PORT to this file once serving");
  app->add_option("--lease", flags->lease,
                  "A worker not heard of for so long loses its jobs, for example 60s or 2m")
      ->capture_default_str();
  app->add_option("--heartbeat", flags->heartbeat, "How often workers report")
      ->capture_default_str();
  app->add_option("--gc-every", flags->gc_every,
                  "How often the checkpoint folder is searched for files that no job refers to")
      ->capture_default_str();
  app->add_option("--gc-min-age", flags->gc_min_age,
                  "Such a file is removed when it was not changed for so long")
      ->capture_default_str();
  app->add_flag("--accept-data-loss", flags->accept_data_loss,
                "Start although the database's write-ahead log is damaged, with what can be read");
  app->add_flag("--slurm-by-client", flags->slurm_by_client,
                "Run no command of Slurm here: `coppice pool run` runs the pools' commands, on a "
                "machine that has them");
  app->add_flag("--pools-dry-run", flags->pools_dry_run,
                "Pools log what they would do; they submit and cancel nothing");
  commands::AddServingFlags(app, &flags->serving);
  app->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error or off")
      ->capture_default_str();
  app->set_version_flag("--version", ProgramVersion("coppice-coordinator"));
}

absl::StatusOr<absl::Duration> ParseTime(const std::string& flag, const std::string& text) {
  absl::Duration duration;
  if (absl::ParseDuration(text, &duration) && duration >= absl::Milliseconds(50) &&
      duration <= absl::Hours(24)) {
    return duration;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      flag, " '", text, "' is not a time from 50ms to 24h; write for example 500ms, 60s or 2m"));
}

absl::StatusOr<core::CoordinatorOptions> MakeCoreOptions(const Flags& flags) {
  core::CoordinatorOptions options;
  COPPICE_ASSIGN_OR_RETURN(options.lease, ParseTime("--lease", flags.lease));
  COPPICE_ASSIGN_OR_RETURN(options.heartbeat_interval, ParseTime("--heartbeat", flags.heartbeat));
  if (options.lease < 2 * options.heartbeat_interval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--lease ", flags.lease, " is less than twice --heartbeat ", flags.heartbeat,
        ": one lost heartbeat would end every lease; raise the one or lower the other"));
  }
  const std::string root =
      flags.checkpoint_dir.empty() ? JoinPath(flags.data_dir, "checkpoints") : flags.checkpoint_dir;
  // Workers may run elsewhere and clients print the path, so it must mean the same everywhere.
  char* const absolute = ::realpath(".", nullptr);
  options.checkpoint_root =
      root.front() == '/' || absolute == nullptr ? root : JoinPath(absolute, root);
  std::free(absolute);
  return options;
}

absl::StatusOr<core::GarbageOptions> MakeGarbageOptions(const Flags& flags,
                                                        const std::string& root) {
  core::GarbageOptions options;
  options.root = root;
  COPPICE_ASSIGN_OR_RETURN(options.every, ParseTime("--gc-every", flags.gc_every));
  COPPICE_ASSIGN_OR_RETURN(options.min_age, ParseTime("--gc-min-age", flags.gc_min_age));
  return options;
}

// The signals to which the coordinator reacts. They are blocked in every thread, so that only
// sigwait receives them.
struct Signals {
  sigset_t set;
  bool hang_up_is_ignored;  // as under nohup
};

Signals BlockSignals() {
  Signals signals = {{}, HangUpIsIgnored()};
  ::sigemptyset(&signals.set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    ::sigaddset(&signals.set, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals.set, nullptr);
  return signals;
}

// Returns the next signal that requests the end. SIGHUP reloads tokens and certificates if there
// are any, under nohup too; otherwise it requests the end, as when a terminal closes. SIGUSR1 and
// SIGUSR2 are Slurm's early warnings: workers then hand in their work, and need a coordinator to
// take it.
std::string AwaitRequest(const Signals& signals, const std::function<void()>& reload) {
  for (;;) {
    int received = 0;
    if (::sigwait(&signals.set, &received) != 0) continue;
    const std::string name = absl::StrCat("SIG", ::sigabbrev_np(received));
    if (received == SIGHUP && reload) {
      reload();
    } else if (received == SIGHUP && signals.hang_up_is_ignored) {
      spdlog::info("{} is ignored, as it was when the coordinator was started", name);
    } else if (received == SIGUSR1 || received == SIGUSR2) {
      spdlog::info("{}: the machine may end soon; serving until SIGTERM", name);
    } else {
      return name;
    }
  }
}

// After the first signal: a later one ends the process at once. Its thread must be gone before the
// process exits, because it logs.
class LaterSignals {
 public:
  LaterSignals(const Signals& signals, StopRequests requests)
      : thread_([this, signals, requests]() mutable { Run(signals, &requests); }) {}
  ~LaterSignals() {
    over_ = true;
    ::pthread_kill(thread_.native_handle(), SIGTERM);  // wakes sigwait
    thread_.join();
  }
  LaterSignals(const LaterSignals&) = delete;
  LaterSignals& operator=(const LaterSignals&) = delete;

 private:
  void Run(const Signals& signals, StopRequests* requests) {
    for (;;) {
      const std::string name = AwaitRequest(signals, nullptr);
      if (over_) return;
      if (requests->OnSignal(Clock::Real()->Monotonic()) != StopRequests::Meaning::kSameAgain) {
        ::_exit(kFailed);
      }
      spdlog::info("{} right after the first signal is taken for the same request", name);
    }
  }

  std::atomic<bool> over_{false};
  std::thread thread_;
};

std::unique_ptr<LaterSignals> WaitForSignal(const Signals& signals,
                                            const std::function<void()>& reload) {
  StopRequests requests;
  spdlog::info("got {}: finishing what is queued; a later signal ends at once",
               AwaitRequest(signals, reload));
  requests.OnSignal(Clock::Real()->Monotonic());
  Signals after = signals;
  after.hang_up_is_ignored |= reload != nullptr;  // a reload would now come too late
  return std::make_unique<LaterSignals>(after, requests);
}

// Deliberate refusals already name the remedy; errors of the system do not.
absl::Status DataFolderError(const std::string& folder, const absl::Status& status) {
  if (absl::IsFailedPrecondition(status) || absl::IsDataLoss(status)) return status;
  return absl::Status(status.code(),
                      absl::StrCat("cannot use the data directory ", folder, ": ", status.message(),
                                   "; make it writable, or choose another with --data-dir DIR"));
}

absl::StatusOr<std::unique_ptr<core::Store>> OpenStore(const Flags& flags,
                                                       const core::CoordinatorOptions& options) {
  auto store = store::OpenSqliteStore({.path = JoinPath(flags.data_dir, "coppice.db"),
                                       .readers = options.reader_threads,
                                       .accept_data_loss = flags.accept_data_loss});
  return store.ok() ? std::move(store) : DataFolderError(flags.data_dir, store.status());
}

absl::Status Serve(const Flags& flags, const core::CoordinatorOptions& options,
                   const core::GarbageOptions& garbage, commands::Serving* serving,
                   const Signals& signals) {
  Clock* const clock = Clock::Real();
  std::unique_ptr<LaterSignals> later_signals;  // until all else here has ended
  commands::PortFile port_file(flags.port_file);
  COPPICE_RETURN_IF_ERROR(port_file.Clear());
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<core::Store> store, OpenStore(flags, options));
  COPPICE_RETURN_IF_ERROR(serving->Prepare(clock));
  COPPICE_RETURN_IF_ERROR(service::ClaimCheckpointRoot(options.checkpoint_root, store->store_id()));
  commands::PoolNews news;
  core::CoordinatorOptions core_options = options;
  news.Join(&core_options);
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<core::Coordinator> core,
                           core::Coordinator::Open(store.get(), clock, std::move(core_options)));
  commands::PoolKeeper pools({store->store_id(), flags.data_dir, options.checkpoint_root,
                              flags.pools_dry_run, flags.slurm_by_client},
                             core.get(), clock, &news);
  core::GarbageCollector collector(store.get(), clock, garbage);
  COPPICE_ASSIGN_OR_RETURN(
      const std::unique_ptr<service::Server> server,
      serving->Start(core.get(), clock, options.checkpoint_root, pools.autoscaler()));
  COPPICE_RETURN_IF_ERROR(port_file.Write(server->address()));
  collector.Start();
  spdlog::info("version {}, data in {}, checkpoints in {}, store {}", VersionText(), flags.data_dir,
               options.checkpoint_root, store->store_id());
  later_signals = WaitForSignal(
      signals, serving->reloads() ? [serving] { serving->Reload(); } : std::function<void()>());
  port_file.Remove();
  const commands::ShutdownWatchdog watchdog(clock, kShutdownLimit, options.checkpoint_root);
  server->CloseStreams();
  pools.Shutdown();
  core->Shutdown();
  server->Shutdown(kShutdownGrace);
  collector.Shutdown();
  spdlog::info("stopped");
  return absl::OkStatus();
}

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "coppice-coordinator: %s\n",
               Printable(std::string(status.message())).c_str());
  return code;
}

int Main(int argc, char** argv) {
  SkipLockOrderChecks();
  // Signals are blocked before any thread starts, including the clock's, so that all inherit the
  // mask.
  const Signals signals = BlockSignals();
  CLI::App app(
      "The head of a Coppice installation: plans sweeps, grants leases, records what workers "
      "report.",
      "coppice-coordinator");
  Flags flags;
  AddFlags(&app, &flags);
  commands::Action action;
  commands::AddBackup(&app, &flags.data_dir, Clock::Real(), &action);
  commands::AddRestore(&app, &flags.data_dir, Clock::Real(), &action);
  commands::AddInitTls(&app, Clock::Real(), &action);
  commands::AddToken(&app, &flags.data_dir, Clock::Real(), &action);
  commands::AddAccessExport(&app, &flags.data_dir, Clock::Real(), &action);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;
    const std::string advice = UsageAdvice(app, {argv + 1, argv + argc});
    if (!advice.empty()) std::fprintf(stderr, "coppice-coordinator%s\n", advice.c_str());
    return kUsage;
  }
  if (app.count("--data-dir") == 0) {
    absl::StatusOr<std::string> folder = store::DefaultDataFolder();
    if (!folder.ok()) return Fail(folder.status(), kFailed);
    flags.data_dir = *std::move(folder);
  }
  if (flags.data_dir.empty())
    return Fail(absl::InvalidArgumentError("--data-dir is empty"), kUsage);
  if (action) {
    ::pthread_sigmask(SIG_UNBLOCK, &signals.set, nullptr);
    const absl::Status status = action();
    if (status.ok()) return 0;
    return Fail(status, absl::IsInvalidArgument(status) ? kUsage : kFailed);
  }
  const absl::Status logging = InitLogging("coordinator", flags.log_level);
  if (!logging.ok()) return Fail(logging, kUsage);
  const uint64_t files = RaiseFileLimit();
  spdlog::debug("up to {} files may be open", files);
  const absl::StatusOr<core::CoordinatorOptions> options = MakeCoreOptions(flags);
  if (!options.ok()) return Fail(options.status(), kUsage);
  const absl::StatusOr<core::GarbageOptions> garbage =
      MakeGarbageOptions(flags, options->checkpoint_root);
  if (!garbage.ok()) return Fail(garbage.status(), kUsage);
  auto serving = commands::Serving::Check(flags.serving, flags.data_dir, Clock::Real());
  if (!serving.ok()) {
    return Fail(serving.status(), absl::IsInvalidArgument(serving.status()) ? kUsage : kFailed);
  }
  const absl::Status folder = store::PrepareDataFolder(flags.data_dir);
  if (!folder.ok()) return Fail(DataFolderError(flags.data_dir, folder), kFailed);
  const absl::Status status = Serve(flags, *options, *garbage, &*serving, signals);
  return status.ok() ? 0 : Fail(status, kFailed);
}

}  // namespace
}  // namespace coppice

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kIsAnError);
  coppice::PrepareStandardStreams();
  coppice::SetCommit(coppice::kBuildCommit);
  coppice::rpc::KeepTlsUntilTheEnd();
  return coppice::FinishStandardOutput("coppice-coordinator", coppice::Main(argc, argv));
}
