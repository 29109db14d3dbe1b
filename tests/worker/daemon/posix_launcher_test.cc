// Real processes: their ends, their output, and that none stays behind.
#include "worker/program/posix_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/base/files.h"

namespace coppice::worker {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

// Records a process's output. Takes every piece at once unless asked to hold back.
class Listener {
 public:
  ProcessCallbacks Callbacks() {
    ProcessCallbacks callbacks;
    callbacks.on_stdout = [this](const std::string& piece) {
      absl::MutexLock lock(&mutex_);
      out_ += piece;
      if (!err_before_out_.has_value()) err_before_out_ = err_;
      if (process_ && !hold_back_) process_->ReadMore(Process::Pipe::kStdout);
    };
    callbacks.on_stderr = [this](const std::string& piece) {
      absl::MutexLock lock(&mutex_);
      err_ += piece;
      if (process_) process_->ReadMore(Process::Pipe::kStderr);
    };
    callbacks.on_exit = [this](const ProcessExit& exit) {
      absl::MutexLock lock(&mutex_);
      ++exits_;
      exit_ = exit;
    };
    return callbacks;
  }
  void Start(ProcessLauncher* launcher, ProcessCommand command) {
    // Held while starting, so that the first piece finds the process set.
    absl::MutexLock lock(&mutex_);
    process_ = launcher->Start(std::move(command), Callbacks());
  }
  void Signal(int signal) {
    absl::MutexLock lock(&mutex_);
    process_->Signal(signal);
  }
  void set_hold_back(bool hold_back) {
    absl::MutexLock lock(&mutex_);
    if (hold_back_ && !hold_back) process_->ReadMore(Process::Pipe::kStdout);
    hold_back_ = hold_back;
  }
  ProcessExit AwaitExit() {
    absl::MutexLock lock(&mutex_);
    const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return exits_ > 0; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&ended), kPatience));
    return exit_;
  }
  std::string AwaitOutput(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    const auto said = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return out_.find(text) != std::string::npos;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&said), kPatience)) << out_;
    return out_;
  }
  std::string out() {
    absl::MutexLock lock(&mutex_);
    return out_;
  }
  std::string err() {
    absl::MutexLock lock(&mutex_);
    return err_;
  }
  // The stderr output that came before the first piece of stdout.
  std::string err_before_out() {
    absl::MutexLock lock(&mutex_);
    return err_before_out_.value_or("no output");
  }
  int exits() {
    absl::MutexLock lock(&mutex_);
    return exits_;
  }

 private:
  absl::Mutex mutex_;
  std::unique_ptr<Process> process_ ABSL_GUARDED_BY(mutex_);
  std::string out_ ABSL_GUARDED_BY(mutex_);
  std::string err_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::string> err_before_out_ ABSL_GUARDED_BY(mutex_);
  bool hold_back_ ABSL_GUARDED_BY(mutex_) = false;
  int exits_ ABSL_GUARDED_BY(mutex_) = 0;
  ProcessExit exit_ ABSL_GUARDED_BY(mutex_);
};

// True for a dead process, and for a zombie that its parent has not reaped yet.
bool IsGone(pid_t pid) {
  const auto stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  return !stat.ok() || stat->find(") Z ") != std::string::npos;
}

bool BecomesGone(pid_t pid) {
  for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
    if (IsGone(pid)) return true;
    absl::SleepFor(absl::Milliseconds(10));  // the kernel notifies only the parent
  }
  return false;
}

class PosixLauncherTest : public ::testing::Test {
 protected:
  PosixLauncherTest() {
    std::string pattern = ::testing::TempDir() + "coppice-launcher-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    auto launcher = PosixLauncher::Create();
    EXPECT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = std::move(*launcher);
  }
  ~PosixLauncherTest() override { std::filesystem::remove_all(root_); }

  // A command that runs the script.
  static ProcessCommand Script(const std::string& script) {
    ProcessCommand command;
    command.argv = {"/bin/sh", "-c", script};
    return command;
  }
  static pid_t PidIn(const std::string& text) {
    int pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &pid)) << text;
    return pid;
  }

  std::string root_;
  std::unique_ptr<PosixLauncher> launcher_;
};

TEST_F(PosixLauncherTest, OutputAndExitCodeArrive) {
  Listener listener;
  ProcessCommand command = Script("echo out; echo err >&2; exit 7");
  command.log_path = root_ + "/log";
  listener.Start(launcher_.get(), command);
  const ProcessExit exit = listener.AwaitExit();
  EXPECT_TRUE(exit.spawn.ok());
  EXPECT_EQ(exit.code, 7);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_EQ(listener.out(), "out\n");
  EXPECT_EQ(listener.err(), "err\n");
  EXPECT_EQ(*ReadFile(root_ + "/log"), "err\n");
}

// In the other order, a job's last event would end its records before its log has come.
TEST_F(PosixLauncherTest, WhatWasLoggedBeforeAnEventComesBeforeIt) {
  for (int i = 0; i < 100; ++i) {
    Listener listener;
    listener.Start(launcher_.get(), Script("echo log >&2; echo event"));
    listener.AwaitExit();
    ASSERT_EQ(listener.err_before_out(), "log\n") << "process " << i;
  }
}

TEST_F(PosixLauncherTest, TheSignalOfACrashArrives) {
  Listener listener;
  listener.Start(launcher_.get(), Script("ulimit -c 0; kill -SEGV $$"));
  EXPECT_EQ(listener.AwaitExit().signal, SIGSEGV);
}

TEST_F(PosixLauncherTest, AKillIsTheKernelsForMemoryWhenItsCountHasGrown) {
  std::atomic<uint64_t> kills = 5;
  auto launcher = PosixLauncher::Create([&] { return std::optional<uint64_t>(kills.load()); });
  ASSERT_TRUE(launcher.ok());
  const auto run = [&](const char* script, uint64_t more) {
    Listener listener;
    listener.Start(launcher->get(), Script(script));
    listener.AwaitOutput("up\n");
    kills += more;
    listener.Signal(SIGKILL);
    return listener.AwaitExit();
  };
  EXPECT_TRUE(run("echo up; sleep 1000", 1).out_of_memory);
  EXPECT_FALSE(run("echo up; sleep 1000", 0).out_of_memory);
}

TEST_F(PosixLauncherTest, AProgramThatIsNotThereIsReported) {
  Listener listener;
  ProcessCommand command;
  command.argv = {root_ + "/nothing"};
  listener.Start(launcher_.get(), command);
  const ProcessExit exit = listener.AwaitExit();
  EXPECT_EQ(exit.spawn.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(exit.spawn.message()), HasSubstr("/nothing"));
}

TEST_F(PosixLauncherTest, TheChildHasAGroupNoInputItsEnvironmentAndNoBlockedSignal) {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto launcher = PosixLauncher::Create();  // its thread inherits the mask
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(launcher.ok());
  Listener listener;
  ProcessCommand command = Script(
      "cat; echo threads=$OMP_NUM_THREADS; echo home=$HOME; "
      "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo leads; grep SigBlk /proc/self/status");
  command.environment = {{"OMP_NUM_THREADS", "3"}};
  ::setenv("OMP_NUM_THREADS", "64", 1);
  listener.Start(launcher->get(), command);
  EXPECT_EQ(listener.AwaitExit().code, 0);
  EXPECT_THAT(listener.out(), HasSubstr("threads=3"));
  EXPECT_THAT(listener.out(), HasSubstr(absl::StrCat("home=", ::getenv("HOME"))));
  EXPECT_THAT(listener.out(), HasSubstr("leads"));
  EXPECT_THAT(listener.out(), HasSubstr("SigBlk:\t0000000000000000"));
}

TEST_F(PosixLauncherTest, ASignalReachesTheWholeGroup) {
  Listener listener;
  listener.Start(launcher_.get(), Script("trap 'echo caught; exit 75' TERM; "
                                         "sleep 1000 & echo $!; echo ready; wait"));
  const std::string out = listener.AwaitOutput("ready\n");
  const pid_t sleeper = PidIn(out.substr(0, out.find('\n')));
  listener.Signal(SIGTERM);
  EXPECT_EQ(listener.AwaitExit().code, 75);
  EXPECT_THAT(listener.out(), HasSubstr("caught"));
  EXPECT_TRUE(BecomesGone(sleeper));
  listener.Signal(SIGTERM);  // the process is gone
}

TEST_F(PosixLauncherTest, AGrandchildThatKeepsThePipeOpenDoesNotHoldUpTheExit) {
  Listener listener;
  listener.Start(launcher_.get(), Script("setsid sleep 15 & echo last words; exit 3"));
  const absl::Time start = absl::Now();
  EXPECT_EQ(listener.AwaitExit().code, 3);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_EQ(listener.out(), "last words\n");
}

TEST_F(PosixLauncherTest, AProcessThatTalksFasterThanItsReaderWaits) {
  Listener listener;
  listener.set_hold_back(false);
  ProcessCommand command = Script("yes 0123456789abcde | head -c 8000000; echo done >&2");
  {
    Listener slow;
    slow.Start(launcher_.get(), Script("echo begin; yes 0123456789abcde | head -c 4000000"));
    slow.AwaitOutput("begin");
    slow.set_hold_back(true);
    listener.Start(launcher_.get(), command);
    EXPECT_EQ(listener.AwaitExit().code, 0);
    // Of the slow one, only the piece that was handed out and the next were read.
    EXPECT_EQ(slow.exits(), 0);
    slow.set_hold_back(false);
    EXPECT_EQ(slow.AwaitExit().code, 0);
    EXPECT_EQ(slow.out().size(), 4000000u + 6u);
  }
  EXPECT_EQ(listener.out().size(), 8000000u);
}

TEST_F(PosixLauncherTest, TheLogFileIsAppendedTo) {
  for (const char* text : {"one", "two"}) {
    Listener listener;
    ProcessCommand command = Script(absl::StrCat("echo ", text, " >&2"));
    command.log_path = root_ + "/log";
    listener.Start(launcher_.get(), command);
    listener.AwaitExit();
  }
  EXPECT_EQ(*ReadFile(root_ + "/log"), "one\ntwo\n");
}

TEST_F(PosixLauncherTest, DestructionKillsWhatRuns) {
  Listener listener;
  listener.Start(launcher_.get(), Script("echo $$; trap '' TERM; while :; do sleep 1; done"));
  const pid_t pid = PidIn(listener.AwaitOutput("\n"));
  launcher_.reset();
  EXPECT_TRUE(BecomesGone(pid));
  EXPECT_EQ(listener.exits(), 0);
}

TEST_F(PosixLauncherTest, DestructionDoesNotWaitForWhatWasAskedForJustBefore) {
  const absl::Time start = absl::Now();
  for (int i = 0; i < 50; ++i) {
    Listener listener;
    auto launcher = PosixLauncher::Create().value();
    listener.Start(launcher.get(), Script("sleep 60"));
    launcher.reset();
    EXPECT_EQ(listener.exits(), 0);
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(50));
}

TEST_F(PosixLauncherTest, ManyProcessesAtOnceEndEachWithItsOwnCode) {
  std::vector<Listener> listeners(20);
  for (size_t i = 0; i < listeners.size(); ++i) {
    listeners[i].Start(launcher_.get(), Script(absl::StrCat("echo ", i, "; exit ", i)));
  }
  for (size_t i = 0; i < listeners.size(); ++i) {
    EXPECT_EQ(listeners[i].AwaitExit().code, static_cast<int>(i));
    EXPECT_EQ(listeners[i].out(), absl::StrCat(i, "\n"));
  }
}

}  // namespace
}  // namespace coppice::worker
