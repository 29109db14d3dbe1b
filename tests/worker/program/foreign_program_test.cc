// Real processes of a program that nobody trusts: where they run, what they inherit, and that none
// of them stays behind.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "common/base/files.h"
#include "tests/testing/temp_dir.h"
#include "worker/program/leftovers.h"
#include "worker/program/posix_launcher.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

class ForeignProgramTest : public ::testing::Test {
 protected:
  ForeignProgramTest() : launcher_(*PosixLauncher::Create()) {}

  ProcessCommand Command(std::vector<std::string> argv) {
    ProcessCommand command;
    command.argv = std::move(argv);
    command.environment = {{"PATH", "/usr/bin:/bin"}, {"MARK", dir_.path()}};
    command.foreign = ForeignProgram{dir_.path(), "MARK=" + dir_.path()};
    return command;
  }
  ProcessCommand Script(const std::string& script) { return Command({"sh", "-c", script}); }
  ProcessExit Run(ProcessCommand command) {
    absl::MutexLock lock(&mutex_);
    ended_ = false;
    out_.clear();
    ProcessCallbacks callbacks;
    callbacks.on_stdout = [this](const std::string& text) {
      absl::MutexLock inner(&mutex_);
      out_ += text;
      process_->ReadMore(Process::Pipe::kStdout);
    };
    callbacks.on_stderr = [this](const std::string&) {
      absl::MutexLock inner(&mutex_);
      process_->ReadMore(Process::Pipe::kStderr);
    };
    callbacks.on_exit = [this](const ProcessExit& exit) {
      absl::MutexLock inner(&mutex_);
      exit_ = exit;
      ended_ = true;
    };
    process_ = launcher_->Start(std::move(command), std::move(callbacks));
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&ended_), kPatience));
    return exit_;
  }
  pid_t PidIn(const std::string& name) {
    int pid = 0;
    const auto text = ReadFile(dir_.Join(name));
    EXPECT_TRUE(text.ok() && absl::SimpleAtoi(*text, &pid)) << name;
    return pid;
  }
  static bool IsGone(pid_t pid) {
    const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
    return !stat.ok() || stat->find(") Z ") != std::string::npos;
  }

  testing::TempDir dir_;
  std::unique_ptr<PosixLauncher> launcher_;
  absl::Mutex mutex_;
  std::unique_ptr<Process> process_;
  std::string out_;
  ProcessExit exit_;
  bool ended_ = false;
};

TEST_F(ForeignProgramTest, ItRunsInItsDirectoryWithItsVariablesAlone) {
  ::setenv("COPPICE_OF_TEST", "inherited", 1);
  EXPECT_EQ(Run(Script("pwd; env | sort")).code, 0);
  EXPECT_THAT(out_, HasSubstr(dir_.path() + "\n"));
  EXPECT_THAT(out_, HasSubstr("MARK=" + dir_.path()));
  EXPECT_THAT(out_, ::testing::Not(HasSubstr("COPPICE_OF_TEST")));
}

TEST_F(ForeignProgramTest, ItInheritsNoDescriptor) {
  // Without close-on-exec, as a careless library opens it.
  const int fd = ::open("/etc/passwd", O_RDONLY);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Run(Script("ls -l /proc/self/fd; cat; echo over")).code, 0);
  EXPECT_THAT(out_, ::testing::Not(HasSubstr("/etc/passwd")));
  EXPECT_THAT(out_, HasSubstr("over")) << "standard input has an end";
  ::close(fd);
}

TEST_F(ForeignProgramTest, WhatCannotStartSaysWhy) {
  EXPECT_THAT(Run(Command({"no-such-program"})).spawn.ToString(),
              HasSubstr("no folder of PATH (/usr/bin:/bin) has a program of that name"));
  EXPECT_THAT(Run(Command({"./missing"})).spawn.ToString(),
              HasSubstr("cannot start ./missing in " + dir_.path()));
  std::ofstream(dir_.Join("plain")) << "#!/bin/sh\n";
  EXPECT_THAT(Run(Command({"./plain"})).spawn.ToString(), HasSubstr("is it executable?"));
  ProcessCommand command = Script("true");
  command.foreign->directory = dir_.Join("gone");
  EXPECT_THAT(Run(command).spawn.ToString(), HasSubstr("in " + dir_.Join("gone")));
  ::chmod(dir_.Join("plain").c_str(), 0755);
  EXPECT_EQ(Run(Command({"./plain"})).code, 0) << "relative to its directory";
}

TEST_F(ForeignProgramTest, ChildrenThatLeaveItsGroupDoNotOutliveIt) {
  const ProcessExit exit = Run(Script(
      "setsid sh -c 'echo $$ > session; exec sleep 1000' & sh -c 'echo $$ > group; exec sleep "
      "1000' & while [ ! -s session ] || [ ! -s group ]; do :; done"));
  EXPECT_EQ(exit.code, 0);
  EXPECT_EQ(exit.left_behind, 2u);
  EXPECT_TRUE(IsGone(PidIn("session")));
  EXPECT_TRUE(IsGone(PidIn("group")));
}

// Python's resource tracker ends when it sees that its program has ended.
TEST_F(ForeignProgramTest, AHelperThatEndsByItselfIsNoneLeftBehind) {
  EXPECT_EQ(Run(Script("mkfifo end; sh -c 'read x < end; echo done > helped' & exec 9> end")).code,
            0);
  EXPECT_EQ(exit_.left_behind, 0u);
  EXPECT_TRUE(FileExists(dir_.Join("helped")));
}

TEST_F(ForeignProgramTest, AnotherProgramsProcessesAreLeftAlone) {
  ProcessCommand other = Script("echo $$ > other; exec sleep 1000");
  other.foreign->mark = other.environment[1].second = dir_.Join("other");
  other.environment[1] = {"MARK", dir_.Join("other")};
  other.foreign->mark = "MARK=" + dir_.Join("other");
  const auto process =
      launcher_->Start(other, ProcessCallbacks{[](const std::string&) {}, [](const std::string&) {},
                                               [](const ProcessExit&) {}});
  EXPECT_EQ(Run(Script("while [ ! -s other ]; do :; done")).left_behind, 0u);
  const pid_t pid = PidIn("other");
  EXPECT_FALSE(IsGone(pid));
  // A worker that starts again finds what its predecessor has left by the beginning of the mark.
  EXPECT_EQ(KillMarkedPrefix("MARK=" + dir_.path() + "/"), 1u);
  EXPECT_TRUE(IsGone(pid));
}

}  // namespace
}  // namespace coppice::worker
