#ifndef COPPICE_TESTS_WORKER_DAEMON_DAEMON_PROCESS_FIXTURE_H_
#define COPPICE_TESTS_WORKER_DAEMON_DAEMON_PROCESS_FIXTURE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "tests/worker/daemon/test_server.h"

namespace coppice::worker {

// Prints the output of a trainer of seed 0 with 100 steps. $dir is its checkpoint folder.
inline constexpr char kPrelude[] = R"sh(#!/bin/sh
[ "$1" != devices ] || exit 2
dir=$(sed -n 's/.*"checkpoint_dir":"\([^"]*\)".*/\1/p' "$2")
say() { printf '%s\n' "$1"; }
start() {
  say '{"event":"start","protocol":1,"version":"t","provenance":{"build":"t"},"members":[{"seed":0,"step":'${1:-0}'}],"steps":100,"parameters":1}'
}
metrics() { say '{"event":"metrics","seed":0,"step":'$1',"values":{"val_loss":1}}'; }
checkpoint() {
  printf 'content' > "$dir/step-$1.safetensors"
  say '{"event":"checkpoint","seed":0,"step":'$1',"path":"'"$dir"'/step-'$1'.safetensors","digest":"DIGEST","bytes":7}'
}
)sh";
// Trains until it gets a signal to stop.
inline constexpr char kPatient[] = R"sh(
trap 'checkpoint 42; say "{\"event\":\"preempted\",\"seed\":0,\"step\":42}"; exit 75' TERM
start; echo $$ > "$dir/pid"; metrics 10
while :; do sleep 1000 & wait $!; done
)sh";

// A real coppice-worker, with a coordinator that the test controls and a script as its trainer.
class DaemonProcessFixture : public ::testing::Test {
 protected:
  DaemonProcessFixture() {
    std::string pattern = ::testing::TempDir() + "coppice-daemon-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(root_ + "/checkpoints");
    std::ofstream(root_ + "/checkpoints/.coppice-store") << "store\n";
    server_.Start();
  }
  ~DaemonProcessFixture() override {
    if (daemon_ > 0) Kill(SIGKILL);
    server_.Stop();
    std::filesystem::remove_all(root_);
  }

  void WriteTrainer(const std::string& body) {
    std::string script = std::string(kPrelude) + body;
    script.replace(script.find("DIGEST"), 6, DigestOf("content", 7));
    std::ofstream(root_ + "/trainer") << script;
    std::filesystem::permissions(root_ + "/trainer", std::filesystem::perms::owner_all);
  }
  pid_t Spawn(const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {COPPICE_WORKER_BINARY, "--state-dir=" + root_ + "/state"};
    if (!name_.empty()) arguments.push_back("--name=" + name_);
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const auto names_trainer = [](const std::string& flag) {
      return absl::StartsWith(flag, "--trainer=");
    };
    if (std::none_of(flags.begin(), flags.end(), names_trainer)) {
      arguments.push_back("--trainer=" + root_ + "/trainer");
    }
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string log = root_ + "/daemon.log";
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setenv("COPPICE_COORDINATOR", server_.address().c_str(), 1);
      ::setenv("COPPICE_INSECURE", "1", 1);
      for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_END_TIME", "CUDA_VISIBLE_DEVICES"}) {
        ::unsetenv(name);
      }
      for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
      ::signal(SIGHUP, SIG_DFL);  // also if the tests run under nohup
      const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      ::dup2(fd, 2);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    return pid;
  }
  void StartDaemon(std::vector<std::string> flags = {}, bool shared = true) {
    if (shared) flags.push_back("--checkpoint-dir=" + root_ + "/checkpoints");
    daemon_ = Spawn(flags);
  }
  static int Wait(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int Kill(int signal) {
    ::kill(daemon_, signal);
    return Wait(std::exchange(daemon_, 0));
  }
  void WriteProgram(const std::string& name, const std::string& body) {
    std::filesystem::create_directories(root_ + "/programs");
    const std::string file = root_ + "/programs/" + name;
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  // Gives the daemon the environment of a Slurm job. The programs squeue and scontrol know nothing.
  void UseSlurmJob(const std::string& job, std::map<std::string, std::string> more = {}) {
    WriteProgram("squeue", "exit 1");
    WriteProgram("scontrol", "exit 1");
    variables_ = {{"SLURM_JOB_ID", job},
                  {"SLURM_CLUSTER_NAME", "hpc"},
                  {"SLURM_PROCID", "0"},
                  {"PATH", root_ + "/programs:/usr/bin:/bin"}};
    variables_.merge(more);
  }
  // Waits until the log says so.
  bool Says(const std::string& text) {
    for (const absl::Time end = absl::Now() + absl::Seconds(20); absl::Now() < end;) {
      if (absl::StrContains(DaemonLog(), text)) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }
  std::string DaemonLog() { return ReadFile(root_ + "/daemon.log").value_or(""); }
  // Job 1 of seed 0.
  static v1::AcquireLeasesResponse Grant(uint64_t attempt = 1) {
    v1::AcquireLeasesResponse grant;
    v1::Lease* lease = grant.add_leases();
    lease->mutable_lease()->set_job_id(1);
    lease->mutable_lease()->set_attempt(attempt);
    lease->set_checkpoint_dir(absl::StrCat("job-1/attempt-", attempt));
    grant.set_run_json(R"({"task": "question", "depth": 2, "train": {"steps": 100}})");
    return grant;
  }
  pid_t TrainerPid() {
    int pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(
        absl::StripAsciiWhitespace(*ReadFile(root_ + "/checkpoints/job-1/attempt-1/pid")), &pid));
    return pid;
  }
  static bool BecomesGone(pid_t pid) {
    for (const absl::Time end = absl::Now() + absl::Seconds(20); absl::Now() < end;) {
      const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
      if (!stat.ok() || stat->find(") Z ") != std::string::npos) return true;
      absl::SleepFor(absl::Milliseconds(10));  // the kernel notifies only the parent
    }
    return false;
  }

  std::string root_;
  std::string name_ = "w";  // empty: no --name
  TestServer server_;
  pid_t daemon_ = 0;
  std::map<std::string, std::string> variables_;  // of the daemon's environment
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_DAEMON_PROCESS_FIXTURE_H_
