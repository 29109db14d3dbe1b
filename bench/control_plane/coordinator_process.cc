#include "bench/control_plane/coordinator_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::bench {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(120);

absl::StatusOr<pid_t> Spawn(std::vector<std::string> argv, const std::string& output) {
  std::vector<char*> args;
  for (std::string& arg : argv) args.push_back(arg.data());
  args.push_back(nullptr);
  const pid_t parent = ::getpid();
  // Not fork: copying the page tables of a process with thousands of connections would distort the
  // measurement. exec closes its sockets.
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = ::vfork();
  if (pid != 0) {
    ::close(file);
    ::close(null);
  }
  if (pid < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", argv[0]));
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  ::dup2(null, 0);
  ::dup2(file, 1);
  ::dup2(file, 2);
  ::execv(args[0], args.data());
  ::_exit(127);
}

}  // namespace

CoordinatorProcess::CoordinatorProcess(std::string binary, std::string folder,
                                       std::string checkpoint_folder, double heartbeat_seconds)
    : binary_(std::move(binary)),
      folder_(std::move(folder)),
      checkpoint_folder_(std::move(checkpoint_folder)),
      heartbeat_seconds_(heartbeat_seconds) {}

CoordinatorProcess::~CoordinatorProcess() { Kill(); }

absl::Status CoordinatorProcess::Exec() {
  COPPICE_ASSIGN_OR_RETURN(
      pid_, Spawn({binary_, "--insecure", "--data-dir", folder_, "--checkpoint-dir",
                   checkpoint_folder_, "--listen", address_, "--port-file",
                   JoinPath(folder_, "port"), "--heartbeat", absl::StrCat(heartbeat_seconds_, "s"),
                   "--lease", absl::StrCat(heartbeat_seconds_ * 6, "s")},
                  JoinPath(folder_, "coordinator.log")));
  return absl::OkStatus();
}

absl::Status CoordinatorProcess::Start() {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(folder_));
  COPPICE_RETURN_IF_ERROR(RemoveFile(JoinPath(folder_, "port")));
  COPPICE_RETURN_IF_ERROR(Exec());
  const absl::Time deadline = absl::Now() + kStartLimit;
  while (absl::Now() < deadline) {
    const auto address = ReadFile(JoinPath(folder_, "port"));
    if (address.ok() && !address->empty()) {
      address_ = *address;
      return absl::OkStatus();
    }
    COPPICE_RETURN_IF_ERROR(CheckAlive());
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::DeadlineExceededError("the coordinator does not start");
}

absl::Status CoordinatorProcess::CheckAlive() {
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == 0) return absl::OkStatus();
  pid_ = -1;
  const auto log = ReadFile(JoinPath(folder_, "coordinator.log"));
  const std::string tail =
      log.ok() && log->size() > 2000 ? log->substr(log->size() - 2000) : log.value_or("");
  return absl::InternalError(absl::StrCat("the coordinator has ended:\n", tail));
}

void CoordinatorProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

absl::StatusOr<int> RunCommand(const std::vector<std::string>& argv, const std::string& output) {
  COPPICE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(argv, output));
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return absl::InternalError("cannot wait for a command");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace coppice::bench
