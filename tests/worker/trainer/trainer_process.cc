#include "tests/worker/trainer/trainer_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace coppice::trainer {

TrainerProcess::TrainerProcess(const std::vector<std::string>& arguments,
                               const std::string& stderr_path) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "no pipe";
    return;
  }
  std::vector<char*> argv = {const_cast<char*>(COPPICE_TRAINER_BINARY)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open(stderr_path.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  stdout_ = ends[0];
}

TrainerProcess::~TrainerProcess() {
  CloseStdout();
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<std::string> TrainerProcess::NextLine() {
  for (;;) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      events_.push_back(nlohmann::json::parse(line, nullptr, false));
      EXPECT_TRUE(events_.back().is_object()) << "not a JSON object: " << line;
      return line;
    }
    char chunk[4096];
    const ssize_t count = stdout_ < 0 ? 0 : ::read(stdout_, chunk, sizeof(chunk));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      EXPECT_EQ(buffer_, "") << "the output ends inside a line";
      return std::nullopt;
    }
    buffer_.append(chunk, static_cast<size_t>(count));
  }
}

bool TrainerProcess::ReadUntil(const std::string& event) {
  while (NextLine().has_value()) {
    if (events_.back().value("event", "") == event) return true;
  }
  return false;
}

void TrainerProcess::Signal(int signal_number) { ::kill(pid_, signal_number); }

bool TrainerProcess::AwaitThreads(int count) {
  for (;;) {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
    int threads = 0;
    uint64_t caught = 0;
    for (std::string line; std::getline(in, line);) {
      if (line.rfind("Threads:", 0) == 0) threads = std::stoi(line.substr(8));
      if (line.rfind("SigCgt:", 0) == 0) caught = std::stoull(line.substr(7), nullptr, 16);
    }
    if (threads == 0) return false;  // a zombie has no threads
    if (threads >= count && (caught >> (SIGTERM - 1) & 1) != 0) return true;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    ::sched_yield();
  }
}

void TrainerProcess::CloseStdout() {
  if (stdout_ >= 0) ::close(stdout_);
  stdout_ = -1;
}

int TrainerProcess::Wait() {
  while (NextLine().has_value()) {
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::vector<nlohmann::json> TrainerProcess::Of(const std::string& event) const {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& candidate : events_) {
    if (candidate.value("event", "") == event) found.push_back(candidate);
  }
  return found;
}

}  // namespace coppice::trainer
