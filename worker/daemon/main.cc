// coppice-worker: wiring only. Exit codes: exit_code.h.
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/build_info.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/logging.h"
#include "common/base/output.h"
#include "common/base/printable.h"
#include "common/base/process_start.h"
#include "common/base/stop_requests.h"
#include "common/rpc/tls_at_exit.h"
#include "worker/daemon/agent.h"
#include "worker/daemon/check_node.h"
#include "worker/daemon/end_request.h"
#include "worker/daemon/exit_code.h"
#include "worker/daemon/grace_check.h"
#include "worker/daemon/grpc_coordinator_client.h"
#include "worker/daemon/job_end.h"
#include "worker/daemon/prepare_worker.h"
#include "worker/daemon/worker_options.h"
#include "worker/program/posix_launcher.h"

namespace coppice::worker {
namespace {

int Fail(int code, const absl::Status& status) {
  std::cerr << "coppice-worker: " << Printable(status.message()) << "\n";
  return code;
}

// Blocks the signals that ask for an exit, in this and all later threads, and returns a descriptor
// that delivers them instead.
int ExitSignals() {
  // Slurm's --signal usually sends one of the last two ahead of the end.
  const sigset_t set = StopSignalSet({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2});
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC);
}

// Longer than Leave normally takes. After it the agent counts as hung, for example in the disk.
constexpr int kLeaveMillis = 3000;

[[noreturn]] void EndNow(PosixLauncher* launcher) {
  launcher->KillAll();
  std::_Exit(1);
}

// A trainer that was probed may hang in a driver, where not even SIGKILL ends it at once. Nothing
// waits for it.
[[noreturn]] void EndUnprepared(const WorkerOptions& options, PosixLauncher* launcher) {
  spdlog::info("asked to end before the worker was ready; it has taken no work");
  launcher->KillAll();
  std::_Exit(ExitCodeOf(ReasonOfRequest(options.allocation)));
}

// Returns when the agent has exited.
void WaitForExit(int signals, int done, bool in_allocation, Agent* agent, PosixLauncher* launcher) {
  pollfd fds[] = {{signals, POLLIN, 0}, {done, POLLIN, 0}};
  StopRequests requests;
  while ((fds[1].revents & POLLIN) == 0) {
    const int ready = ::poll(fds, 2, requests.leaving() ? kLeaveMillis : -1);
    if (ready == 0) EndNow(launcher);
    signalfd_siginfo info;
    if (ready < 0 || (fds[0].revents & POLLIN) == 0 ||
        ::read(signals, &info, sizeof(info)) != sizeof(info)) {
      continue;
    }
    const std::string name = std::string("SIG") + ::sigabbrev_np(static_cast<int>(info.ssi_signo));
    // A batch system repeats its SIGTERM, for example when the grace of a preemption ends. That
    // takes nothing away from the time to write checkpoints. Ctrl-C comes from a person.
    if (in_allocation && requests.stopping() && info.ssi_signo != SIGINT) {
      spdlog::info("{} again: the worker is stopping already", name);
      continue;
    }
    switch (requests.OnSignal(Clock::Real()->Monotonic())) {
      case StopRequests::Meaning::kStop:
        agent->Stop(name);
        break;
      case StopRequests::Meaning::kSameAgain:
        spdlog::info("{} right after the first signal is taken for the same request", name);
        break;
      case StopRequests::Meaning::kLeave:
        agent->Leave(name);
        break;
      case StopRequests::Meaning::kEndNow:
        EndNow(launcher);
    }
  }
}

const char* Variable(const char* name) { return std::getenv(name); }

std::string Path() {
  const char* path = Variable("PATH");
  return path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
}

// Asks Slurm about the allocation, while the worker runs.
struct SlurmWatch {
  std::unique_ptr<JobEnd> job_end;
  std::unique_ptr<GraceCheck> grace_check;
};
SlurmWatch WatchSlurm(const Environment* environment, const WorkerOptions& options,
                      absl::Duration walltime, Agent* agent) {
  SlurmWatch watch;
  if (options.allocation.system != "slurm") return watch;
  watch.grace_check = std::make_unique<GraceCheck>(environment, options.allocation, Path(),
                                                   InSlurmStep(&Variable), options.grace);
  if (options.walltime == absl::ZeroDuration()) {
    std::optional<absl::Time> known;
    if (!options.slurm_job_end_time.empty()) known = environment->clock->Now() + walltime;
    watch.job_end = std::make_unique<JobEnd>(environment, options.allocation, Path(), known,
                                             [agent](absl::Time end) { agent->SetEnd(end); });
  }
  environment->main([check = watch.grace_check.get(), end = watch.job_end.get()] {
    if (end != nullptr) end->Start();
    check->Start();
  });
  return watch;
}

int Run(const WorkerOptions& options, int signals) {
  const auto access = rpc::ResolveAccess(options.access, rpc::Caller::kWorker);
  if (!access.ok()) return Fail(absl::IsInvalidArgument(access.status()) ? 2 : 1, access.status());
  if (!access->warning.empty()) spdlog::warn("{}", access->warning);
  auto client = MakeGrpcCoordinatorClient(access->address, access->credentials);
  if (!client.ok()) return Fail(2, client.status());
  auto launcher = PosixLauncher::Create();
  if (!launcher.ok()) return Fail(1, launcher.status());
  auto prepared = PrepareWorker(options, &Variable, launcher->get(), EndRequest(signals));
  if (absl::IsCancelled(prepared.status())) EndUnprepared(options, launcher->get());
  if (!prepared.ok()) {
    return Fail(absl::IsInvalidArgument(prepared.status()) ? 2 : 1, prepared.status());
  }

  Executor main_sequence;
  Executor background(static_cast<int>(std::min(prepared->config.slots + 2, 16u)));
  Environment environment;
  environment.clock = Clock::Real();
  environment.coordinator = client->get();
  environment.launcher = launcher->get();
  environment.main = [&](std::function<void()> work) { return main_sequence.Add(std::move(work)); };
  environment.background = [&](std::function<void()> work) {
    return background.Add(std::move(work));
  };

  const int done = ::eventfd(0, EFD_CLOEXEC);
  int exit_code = 0;
  std::string message;
  auto agent = std::make_unique<Agent>(environment, prepared->config,
                                       [&](int code, const std::string& text) {
                                         exit_code = code;
                                         message = text;
                                         ::eventfd_write(done, 1);
                                       });
  agent->Start();
  const auto slurm = WatchSlurm(&environment, options, prepared->config.walltime, agent.get());
  WaitForExit(signals, done, !options.allocation.system.empty(), agent.get(), launcher->get());

  // The callbacks of the processes end first, then those on the sequence. Pending disk writes are
  // finished before the end.
  launcher->reset();
  main_sequence.Shutdown();
  background.Shutdown();
  agent.reset();
  client->reset();
  ::close(done);
  if (!message.empty()) std::cerr << "coppice-worker: " << Printable(message) << "\n";
  return exit_code;
}

int CheckNode(int argc, char** argv) {
  int exit_code = 0;
  const std::optional<NodeCheck> check = ParseNodeCheck(argc, argv, &exit_code);
  if (!check) return FinishStandardOutput("coppice-worker", exit_code);
  const absl::Status logging = InitLogging("coppice-worker", check->worker.log_level);
  if (!logging.ok()) return Fail(2, logging);
  exit_code =
      RunNodeCheck(*check, ReportOverNetwork(check->worker), &Variable, Clock::Real(), &std::cout);
  return FinishStandardOutput("coppice-worker", exit_code);
}

}  // namespace
}  // namespace coppice::worker

int main(int argc, char** argv) {
  coppice::StartProcess(coppice::BrokenPipe::kIsAnError);
  coppice::PrepareStandardStreams();
  coppice::SetCommit(coppice::kBuildCommit);
  coppice::rpc::KeepTlsUntilTheEnd();
  if (coppice::worker::AsksForNodeCheck(argc, argv)) return coppice::worker::CheckNode(argc, argv);
  int exit_code = 0;
  const auto options = coppice::worker::ParseWorkerOptions(argc, argv, &exit_code);
  // --help and --version print.
  if (!options) return coppice::FinishStandardOutput("coppice-worker", exit_code);
  const absl::Status logging = coppice::InitLogging("coppice-worker", options->log_level);
  if (!logging.ok()) return coppice::worker::Fail(2, logging);
  return coppice::worker::Run(*options, coppice::worker::ExitSignals());
}
