#include "cli/local/local.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ostream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/client.h"
#include "cli/export.h"
#include "cli/extension.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "cli/local/daemons.h"
#include "cli/local/session.h"
#include "cli/plan_view.h"
#include "cli/report/gnuplot.h"
#include "cli/report/report.h"
#include "cli/spec_reader.h"
#include "cli/sweep_view.h"
#include "common/base/files.h"
#include "common/base/own_folder.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr absl::Duration kForever = absl::Hours(1);
// The interval of checks for a new terminal size or page.
constexpr absl::Duration kTick = absl::Seconds(1);

class LocalRun {
 public:
  LocalRun(const LocalOptions& options, SpecFile file, std::string dir, Context* context,
           Daemons* daemons, StopSignals* signals)
      : options_(options),
        file_(std::move(file)),
        dir_(std::move(dir)),
        context_(*context),
        daemons_(*daemons),
        stop_fd_(signals->fd()),
        follower_(context->out, context->terminal, Clock::Real()) {}

  // Runs everything from the first daemon's start to just before the last one's end.
  absl::StatusOr<int> Run();

 private:
  absl::StatusOr<std::unique_ptr<Client>> Connect() {
    return Client::Create(address_, {.access_file = daemons_.AccessPath()});
  }
  absl::Status Announce(const PlannedExtension& planned);
  absl::Status Begin(const absl::StatusOr<v1::SubmitSweepResponse>& submitted);
  absl::Status StartWorkers();
  absl::Status Handle(Session::Event event);
  absl::Status Follow(Session* session);
  absl::StatusOr<int> Finish();
  void Report(Client* client);
  void KeepRunning();

  const std::string& sweep() const { return file_.spec.name(); }

  const LocalOptions& options_;
  const SpecFile file_;
  const std::string dir_;
  Context& context_;
  Daemons& daemons_;
  const int stop_fd_;
  SweepFollower follower_;
  std::string address_;
  std::optional<absl::Status> ended_;
};

absl::StatusOr<int> LocalRun::Run() {
  COPPICE_ASSIGN_OR_RETURN(address_, daemons_.StartCoordinator());
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Connect());
  {
    // The width is unknown until it is measured; until then the plan counts single jobs.
    Session session(client.get(), file_.spec, std::max(options_.pack, 1u), options_.retry);
    const absl::Status followed = Follow(&session);
    follower_.Stop();
    COPPICE_RETURN_IF_ERROR(followed);
  }
  COPPICE_ASSIGN_OR_RETURN(const int code, Finish());
  if (options_.keep_running) KeepRunning();
  return code;
}

absl::Status LocalRun::Follow(Session* session) {
  while (!ended_.has_value()) {
    daemons_.Wait(session->fd(), context_.terminal.interactive ? kTick : kForever);
    if (daemons_.requests().stopping()) return absl::CancelledError("stopped by a signal");
    follower_.Tick();
    for (Session::Event& event : session->Take()) COPPICE_RETURN_IF_ERROR(Handle(std::move(event)));
    const absl::Status death = daemons_.TakeDeath();
    if (death.ok()) continue;
    if (!daemons_.coordinator_runs() || daemons_.running_workers() == 0) return death;
    follower_.Note(
        absl::StrCat("warning: ", std::string(death.message()), "\nthe other workers go on"));
  }
  // A broken stream usually means a dead coordinator, whose log says more.
  if (!ended_->ok()) {
    daemons_.Wait(-1, absl::Seconds(2));
    COPPICE_RETURN_IF_ERROR(daemons_.TakeDeath());
  }
  return *ended_;
}

absl::Status LocalRun::Handle(Session::Event event) {
  if (event.extending.has_value()) COPPICE_RETURN_IF_ERROR(Announce(*event.extending));
  if (event.submitted.has_value()) COPPICE_RETURN_IF_ERROR(Begin(*event.submitted));
  if (event.news.has_value()) follower_.Take(*std::move(event.news));
  if (event.ended.has_value()) ended_ = *event.ended;
  return absl::OkStatus();
}

absl::Status LocalRun::Announce(const PlannedExtension& planned) {
  COPPICE_RETURN_IF_ERROR(
      WhyRefused(file_, dir_, "choose another folder with --dir, or another name with --set name=",
                 planned.answer.extension()));
  context_.out << "the sweep " << sweep() << " in " << dir_ << " gets what its spec has now:\n";
  for (const std::string& line : ExtensionLines(planned, file_.spec))
    context_.out << "  " << line << "\n";
  context_.out << std::flush;
  return absl::OkStatus();
}

absl::Status LocalRun::Begin(const absl::StatusOr<v1::SubmitSweepResponse>& submitted) {
  COPPICE_RETURN_IF_ERROR(submitted.status());
  const v1::SweepSummary& summary = submitted->sweep();
  const bool finished = summary.counts().pending() + summary.counts().running() == 0;
  if (submitted->created()) {
    context_.out << "running " << sweep() << " in " << dir_ << ": "
                 << PlanSentence(submitted->plan()) << "\n";
  } else {
    context_.out << (finished ? "found " : "continuing ") << sweep() << " in " << dir_ << ": "
                 << CountsText(context_.terminal, summary.counts()) << "\n";
  }
  context_.out << std::flush;
  return finished ? absl::OkStatus() : StartWorkers();
}

absl::Status LocalRun::StartWorkers() {
  uint32_t slots = options_.slots;
  if (slots == 0)
    slots =
        std::max(1u, std::thread::hardware_concurrency() / (options_.workers * options_.threads));
  context_.out << "coordinator at " << address_ << ", " << options_.workers
               << (options_.workers == 1 ? " worker with " : " workers with ") << slots
               << (slots == 1 ? " slot" : " slots") << (options_.workers == 1 ? "" : " each")
               << ", logs in " << dir_ << "/logs\n"
               << std::flush;
  for (uint32_t i = 1; i <= options_.workers; ++i) {
    COPPICE_RETURN_IF_ERROR(daemons_.StartWorker(i, slots, options_.pack, options_.threads));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> LocalRun::Finish() {
  // The session's client is closed for good, so another one is needed.
  COPPICE_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, Connect());
  SweepModel model;
  COPPICE_RETURN_IF_ERROR(model.Load(client.get(), sweep()));
  for (const std::string& line : StatusLines(model, context_.terminal))
    context_.out << line << "\n";
  v1::GetMetricsRequest request;
  request.mutable_filter()->set_sweep(sweep());
  const std::string metrics = JoinPath(dir_, "metrics.csv");
  const std::string jobs = JoinPath(dir_, "jobs.csv");
  COPPICE_RETURN_IF_ERROR(WriteToFile({metrics, /*force=*/true}, [&](const Sink& sink) {
    return ExportMetrics(client.get(), {request}, MetricsFormat::kCsv, sink, dir_);
  }));
  COPPICE_RETURN_IF_ERROR(WriteToFile({jobs, /*force=*/true}, [&](const Sink& sink) {
    return ExportJobsCsv(client.get(), request.filter(), sink);
  }));
  context_.out << "\nmetrics: " << metrics << "\njobs:    " << jobs << "\n";
  if (!options_.no_report) Report(client.get());
  const v1::JobCounts& counts = model.summary().counts();
  const bool all = counts.succeeded() == model.summary().jobs();
  if (!all)
    context_.out
        << "run the command again with --retry to give failed and cancelled jobs another chance\n";
  context_.out << std::flush;
  return all ? kExitDone : kExitFailed;
}

void LocalRun::Report(Client* client) {
  ReportOptions options;
  options.dir = JoinPath(dir_, "report");
  options.now_ms = Clock::Real()->NowMillis();
  options.stop_fd = stop_fd_;
  const absl::StatusOr<ReportFiles> files = WriteReport(client, {sweep()}, options);
  if (files.ok()) {
    context_.out << "report:  " << files->index << "\n";
    if (!files->warnings.empty())
      context_.err << "coppice: warning: " << options.gnuplot
                   << " drew the figures, and wrote: " << Printable(files->warnings) << "\n";
    return;
  }
  if (absl::IsCancelled(files.status())) daemons_.Wait(-1, absl::ZeroDuration());
  // NOT_FOUND alone could also mean that the folder went away.
  const bool no_gnuplot =
      absl::IsNotFound(files.status()) && absl::IsNotFound(FindGnuplot(options.gnuplot, stop_fd_));
  // The training results are safe without the report.
  context_.err << "coppice: warning: no report was written: "
               << Printable(std::string(files.status().message()))
               << (no_gnuplot ? "; afterwards the same `coppice local` command writes it\n" : "\n")
               << std::flush;
}

void LocalRun::KeepRunning() {
  context_.out << "the coordinator at " << address_
               << " goes on, for example for `coppice --access " << daemons_.AccessPath()
               << " show " << sweep() << "/...`; Ctrl-C ends it\n"
               << std::flush;
  while (!daemons_.requests().stopping() && daemons_.coordinator_runs()) {
    daemons_.Wait(-1, kForever);
  }
}

absl::StatusOr<std::string> FindBinaries(const LocalOptions& options) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string folder =
      options.binaries.empty() ? self.parent_path().string() : options.binaries;
  for (const char* name : {"coppice-coordinator", "coppice-worker"}) {
    if (FileExists(JoinPath(folder, name))) continue;
    return absl::NotFoundError(
        absl::StrCat("there is no ", name, " in ", folder,
                     " beside coppice; build or install all of Coppice into one folder"));
  }
  return folder;
}

// The files that a run writes in its folder. Other files there do not matter.
OwnFolderKind RunFolderKind() {
  OwnFolderKind kind;
  kind.mark = ".coppice-local";
  kind.what = "a run of `coppice local`";
  kind.flag = "--dir";
  kind.proof = {"local.lock", "logs/", "checkpoints/"};
  kind.needs = {"local.lock", "logs",   "checkpoints", "coordinator", "coordinator.port",
                "worker-#",   "report", "metrics.csv", "jobs.csv"};
  return kind;
}

absl::Status MakeRunFolder(const std::string& dir) {
  COPPICE_ASSIGN_OR_RETURN(const Directory folder, ClaimFolder(dir, RunFolderKind()));
  for (const char* name : {"logs", "checkpoints"}) {
    COPPICE_RETURN_IF_ERROR(folder.MakeFolder(name).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> RunLocal(const LocalOptions& options, Context* context) {
  if (context->coordinator_given) {
    return absl::InvalidArgumentError(
        "`coppice local` starts a coordinator of its own; leave --coordinator out, or use `coppice "
        "submit`");
  }
  COPPICE_ASSIGN_OR_RETURN(SpecFile file, ReadSpecFile(options.spec, options.changes));
  Warn(SpecWarnings(file), context->err);
  const std::string name = file.spec.name();
  const std::string dir =
      std::filesystem::absolute(options.dir.empty() ? absl::StrCat("coppice-", name) : options.dir)
          .lexically_normal();
  COPPICE_ASSIGN_OR_RETURN(const std::string binaries, FindBinaries(options));
  COPPICE_RETURN_IF_ERROR(MakeRunFolder(dir));
  const absl::StatusOr<FileLock> lock = FileLock::Acquire(JoinPath(dir, "local.lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another `coppice local` runs in ", dir,
                     "; wait for it, stop it, or choose another folder with --dir"));
  }
  COPPICE_RETURN_IF_ERROR(lock.status());
  COPPICE_ASSIGN_OR_RETURN(const auto signals, StopSignals::Block());
  Daemons daemons({dir, binaries}, signals.get(), Clock::Real());
  const std::string again =
      absl::StrCat("coppice local ", options.spec, FlagsText(options.changes), " --dir ", dir);
  absl::StatusOr<int> code =
      LocalRun(options, std::move(file), dir, context, &daemons, signals.get()).Run();
  const bool interrupted = absl::IsCancelled(code.status()) && daemons.requests().stopping();
  if (interrupted)
    context->out << "stopping: the workers write checkpoints (Ctrl-C again kills them)"
                 << std::endl;
  const bool clean = daemons.Stop();
  if (absl::IsInternal(code.status())) {
    return absl::InternalError(absl::StrCat(std::string(code.status().message()),
                                            "\nnothing checkpointed is lost: `", again,
                                            "` continues"));
  }
  if (!interrupted) return code;
  context->out << (clean ? "stopped; "
                         : "killed; everything since the last checkpoints is done again: ")
               << "`" << again << "` continues" << std::endl;
  return clean ? kExitPreempted : kExitFailed;
}

}  // namespace coppice::cli
