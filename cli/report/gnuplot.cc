#include "cli/report/gnuplot.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/local/child.h"
#include "cli/report/html.h"
#include "common/base/argv.h"
#include "common/base/files.h"
#include "common/base/process_end.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

constexpr int kTimeoutMs = 300'000;
constexpr size_t kLogLines = 8;

absl::Status NoGnuplot(const std::string& program) {
  return absl::NotFoundError(
      absl::StrCat("there is no program '", program,
                   "', which draws the figures; install it with `apt install "
                   "gnuplot-nox`"));
}

// The part of this process's environment that gnuplot gets. It leaves out settings that change a
// figure (GNUTERM, GNUPLOT_*, FIT_*), and the user's locale, which this machine may lack.
std::vector<std::string> Environment() {
  std::vector<std::string> kept = {"LC_ALL=C.UTF-8"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    for (const char* name :
         {"PATH=", "HOME=", "TMPDIR=", "LD_LIBRARY_PATH=", "FONTCONFIG", "XDG_"}) {
      if (absl::StartsWith(text, name)) kept.emplace_back(text);
    }
  }
  return kept;
}

// Makes a path absolute, so that it holds in any folder. A name to find in PATH stays.
std::string Absolute(const std::string& program) {
  std::error_code ignored;
  return absl::StrContains(program, '/') ? std::filesystem::absolute(program, ignored).string()
                                         : program;
}

// Starts `program` in `dir` with its output in `log`. It has the default signals with none blocked,
// and a process group of its own, so that Ctrl-C reaches only this process.
absl::StatusOr<pid_t> Spawn(const std::string& program, std::vector<std::string> argv,
                            const std::string& dir, const std::string& log) {
  std::vector<std::string> variables = Environment();
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(&actions, dir.c_str());
  sigset_t signals;
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);
  ::sigfillset(&signals);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, Absolute(program).c_str(), &actions, &attributes,
                                   ExecPointers(argv).data(), ExecPointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error == ENOENT) return NoGnuplot(program);
  if (error != 0) return ErrnoToStatus(error, absl::StrCat("cannot start ", program));
  return pid;
}

// Returns the child's wait status.
absl::StatusOr<int> Await(pid_t pid, const std::string& program, int stop_fd) {
  pollfd waiting[] = {{OpenProcessEnd(pid), POLLIN, 0}, {stop_fd, POLLIN, 0}};
  bool ended = true;
  if (waiting[0].fd >= 0) {
    TEMP_FAILURE_RETRY(::poll(waiting, 2, kTimeoutMs));
    ended = waiting[0].revents != 0;
    ::close(waiting[0].fd);
  }
  if (!ended) ::kill(-pid, SIGKILL);
  int status = 0;
  TEMP_FAILURE_RETRY(::waitpid(pid, &status, 0));
  if (ended) return status;
  if (waiting[1].revents != 0) return absl::CancelledError("stopped");
  return absl::DeadlineExceededError(
      absl::StrCat(program, " took longer than ", kTimeoutMs / 1'000, " s and was killed"));
}

std::string Describe(int status) {
  return (WIFSIGNALED(status) ? ChildExit{128 + WTERMSIG(status), WTERMSIG(status)}
                              : ChildExit{WEXITSTATUS(status), 0})
      .Describe();
}

}  // namespace

absl::StatusOr<std::string> RunGnuplot(const std::string& program, const std::string& dir,
                                       const std::string& script, int stop_fd) {
  const std::string log = JoinPath(dir, "gnuplot.log");
  COPPICE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(program, {program, "-d", script}, dir, log));
  COPPICE_ASSIGN_OR_RETURN(const int status, Await(pid, program, stop_fd));
  std::string said = Tail(log, kLogLines);
  COPPICE_RETURN_IF_ERROR(RemoveFile(log));
  if (status == 0) return said;
  return absl::InternalError(
      absl::StrCat(program, " on ", script, " ", Describe(status), ": ", said));
}

absl::Status FindGnuplot(const std::string& program, int stop_fd) {
  COPPICE_ASSIGN_OR_RETURN(const pid_t pid,
                           Spawn(program, {program, "--version"}, "/", "/dev/null"));
  COPPICE_ASSIGN_OR_RETURN(const int status, Await(pid, program, stop_fd));
  if (status == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("`", program, " --version` ", Describe(status),
                                                    ", so it cannot draw the figures"));
}

std::string TidySvg(std::string svg, const std::string& title) {
  std::string tidy;
  bool titled = false;
  const std::vector<std::string> lines = absl::StrSplit(svg, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string line = lines[i];
    const size_t from = line.find("<title>");
    const size_t to = line.find("</title>");
    if (from != std::string::npos && to != std::string::npos) {
      line = line.substr(0, from) + (titled ? "" : "<title>" + EscapeHtml(title) + "</title>") +
             line.substr(to + 8);
      titled = true;
    }
    const bool opens = line.rfind("<g ", 0) == 0 && line.back() == '>';
    if (opens && i + 1 < lines.size() && lines[i + 1] == "</g>") {
      ++i;
      continue;
    }
    absl::StrAppend(&tidy, line, "\n");
  }
  return absl::StrReplaceAll(
      tidy, {{"font-family=\"Liberation Sans:Bold\"",
              "font-weight=\"bold\" font-family=\"Liberation Sans, Arial, Helvetica, sans-serif\""},
             {"font-family=\"Liberation Sans\"",
              "font-family=\"Liberation Sans, Arial, Helvetica, sans-serif\""},
             {" shape-rendering='crispEdges'", ""}});
}

}  // namespace coppice::cli
