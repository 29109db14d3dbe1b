// coppice-worker: wiring only. Exit codes: 0 stopped as asked, 1 failed, 2 usage.
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "common/base/executor.h"
#include "common/base/logging.h"
#include "worker/daemon/agent.h"
#include "worker/daemon/grpc_coordinator_client.h"
#include "worker/daemon/posix_launcher.h"
#include "worker/daemon/worker_options.h"

namespace coppice::worker {
namespace {

int Fail(int code, const absl::Status& status) {
  std::cerr << "coppice-worker: " << status.message() << "\n";
  return code;
}

// Blocks the signals that ask for an exit, in every thread that is started from here on, and gives
// a descriptor that has them instead.
int ExitSignals() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC);
}

// Until the agent is done; the first signal stops it, the second ends everything at once.
void WaitForExit(int signals, int done, Agent* agent, PosixLauncher* launcher) {
  pollfd fds[] = {{signals, POLLIN, 0}, {done, POLLIN, 0}};
  for (bool stopping = false; (fds[1].revents & POLLIN) == 0;) {
    if (::poll(fds, 2, -1) < 0 || (fds[0].revents & POLLIN) == 0) continue;
    signalfd_siginfo info;
    if (::read(signals, &info, sizeof(info)) != sizeof(info)) continue;
    if (stopping) {
      launcher->KillAll();
      std::_Exit(1);
    }
    stopping = true;
    agent->Stop(std::string("SIG") + ::sigabbrev_np(static_cast<int>(info.ssi_signo)));
  }
}

int Run(const WorkerOptions& options, int signals) {
  auto client = MakeGrpcCoordinatorClient(options.coordinator);
  if (!client.ok()) return Fail(2, client.status());
  auto prepared = PrepareWorker(options);
  if (!prepared.ok()) {
    return Fail(absl::IsInvalidArgument(prepared.status()) ? 2 : 1, prepared.status());
  }
  auto launcher = PosixLauncher::Create();
  if (!launcher.ok()) return Fail(1, launcher.status());

  Executor main_sequence;
  Executor background(static_cast<int>(std::min(options.slots + 2, 16u)));
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
  WaitForExit(signals, done, agent.get(), launcher->get());

  // No more callbacks from the processes, then none on the sequence; what waits for the disk is
  // written before the end.
  launcher->reset();
  main_sequence.Shutdown();
  background.Shutdown();
  agent.reset();
  client->reset();
  ::close(done);
  if (!message.empty()) std::cerr << "coppice-worker: " << message << "\n";
  return exit_code;
}

}  // namespace
}  // namespace coppice::worker

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = coppice::worker::ParseWorkerOptions(argc, argv, &exit_code);
  if (!options) return exit_code;
  const absl::Status logging = coppice::InitLogging("coppice-worker", options->log_level);
  if (!logging.ok()) return coppice::worker::Fail(2, logging);
  return coppice::worker::Run(*options, coppice::worker::ExitSignals());
}
