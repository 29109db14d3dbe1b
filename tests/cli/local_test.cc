// The supervision of `coppice local`, with scripts in place of the daemons.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/local/session.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/cli/local_fixture.h"
#include "tests/testing/subprocess.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(LocalTest, TheCoordinatorServesOnceItsPortFileIsThere) {
  WriteCoordinator("127.0.0.1:4242");
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  const absl::StatusOr<std::string> address = daemons.StartCoordinator();
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(*address, "127.0.0.1:4242");
  EXPECT_TRUE(daemons.coordinator_runs());
  EXPECT_TRUE(daemons.Stop());
  EXPECT_FALSE(daemons.coordinator_runs());
}

TEST_F(LocalTest, ACoordinatorThatDiesAtItsStartIsToldWithItsLog) {
  WriteScript("coppice-coordinator", "#!/bin/sh\necho the data folder is in use >&2\nexit 3\n");
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  const absl::Status status = daemons.StartCoordinator().status();
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("coppice-coordinator exited with code 3"),
                    HasSubstr("the data folder is in use"), HasSubstr("logs/coordinator.log")));
}

TEST_F(LocalTest, AProgramThatCannotRunIsNamed) {
  std::ofstream(dir_.Join("bin/coppice-coordinator")) << "no program";
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  const absl::Status status = daemons.StartCoordinator().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("bin/coppice-coordinator"));
}

TEST_F(LocalTest, ASignalEndsTheWaitForTheCoordinator) {
  WriteScript("coppice-coordinator", "#!/bin/sh\nexec sleep 600\n");
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(daemons.StartCoordinator().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(daemons.requests().stopping());
}

TEST_F(LocalTest, AWorkerThatIsKilledIsToldOnce) {
  WriteCoordinator("127.0.0.1:4242");
  WriteScript("coppice-worker", "#!/bin/sh\necho out of luck\nkill -9 $$\n");
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  ASSERT_TRUE(daemons.StartCoordinator().ok());
  ASSERT_TRUE(daemons.StartWorker(1, 2, 1, 1).ok());
  while (daemons.running_workers() > 0) daemons.Wait(-1, absl::Seconds(30));
  EXPECT_THAT(
      std::string(daemons.TakeDeath().message()),
      AllOf(HasSubstr("worker-1"), HasSubstr("killed by signal 9"), HasSubstr("out of luck")));
  EXPECT_TRUE(daemons.TakeDeath().ok());
}

TEST_F(LocalTest, WorkersStopBeforeTheCoordinator) {
  WriteCoordinator("127.0.0.1:4242");
  WriteScript("coppice-worker", absl::StrCat("#!/bin/sh\ntrap 'echo worker >> ", dir_.Join("order"),
                                             "; exit 0' TERM\n: > ", dir_.Join("run/ready"),
                                             "\nwhile :; do sleep 600 & wait $!; done\n"));
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  ASSERT_TRUE(daemons.StartCoordinator().ok());
  const auto ready = *FileArrival::Of(dir_.Join("run"), "ready");
  ASSERT_TRUE(daemons.StartWorker(1, 1, 1, 1).ok());
  while (!std::filesystem::exists(dir_.Join("run/ready")))
    daemons.Wait(ready->fd(), absl::Seconds(30));
  EXPECT_TRUE(daemons.Stop());
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("order")), "worker\nstopped\n");
  EXPECT_TRUE(daemons.TakeDeath().ok()) << "an end that was asked for is no death";
}

TEST_F(LocalTest, ASecondSignalKillsAWorkerThatDoesNotStop) {
  WriteCoordinator("127.0.0.1:4242");
  WriteScript("coppice-worker", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 600 & wait $!; done\n");
  const auto signals = Signals();
  Daemons daemons(Paths(), signals.get(), Clock::Real());
  ASSERT_TRUE(daemons.StartCoordinator().ok());
  ASSERT_TRUE(daemons.StartWorker(1, 1, 1, 1).ok());
  ::kill(::getpid(), SIGINT);
  daemons.Wait(-1, absl::Seconds(30));
  ASSERT_TRUE(daemons.requests().stopping());
  // A signal right after the first one counts as the same request.
  absl::SleepFor(StopRequests::kSameRequest + absl::Milliseconds(100));
  ::kill(::getpid(), SIGINT);
  EXPECT_FALSE(daemons.Stop());
  EXPECT_EQ(daemons.running_workers(), 0);
}

TEST_F(LocalTest, AChildDiesWithItsParent) {
  // The parent is a process of its own, and ends without stopping its child.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto child = Child::Start("child", {"/bin/sleep", "600"}, dir_.Join("run/logs/child.log"));
    const pid_t pid = child.ok() ? (*child)->pid() : -1;
    if (::write(ends[1], &pid, sizeof(pid)) < 0) ::_exit(1);
    ::_exit(0);
  }
  pid_t pid = -1;
  ASSERT_EQ(::read(ends[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  ASSERT_GT(pid, 0);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  ::waitpid(parent, nullptr, 0);
  if (pidfd >= 0) {
    pollfd waiting = {pidfd, POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 30'000), 1) << "the child outlived its parent";
    ::close(pidfd);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(LocalTest, AChildHasAGroupAndASignalMaskOfItsOwn) {
  const auto signals = Signals();
  auto child = Child::Start(
      "child", {"/bin/sh", "-c", "ps -o pgid= -p $$; grep SigBlk /proc/$$/status; exec sleep 600"},
      dir_.Join("run/logs/child.log"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(::getpgid((*child)->pid()), (*child)->pid());
  (*child)->Signal(SIGTERM);
  pollfd waiting = {(*child)->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, 30'000), 1) << "SIGTERM must not be blocked in it";
  EXPECT_EQ((*child)->Poll()->signal, SIGTERM);
}

TEST_F(LocalTest, AChildOfOneThatIgnoresHangUpsIgnoresThemToo) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  auto child = Child::Start("child", {"/bin/sh", "-c", "kill -HUP $$; echo alive"},
                            dir_.Join("run/logs/child.log"));
  ::signal(SIGHUP, before);
  ASSERT_TRUE(child.ok()) << child.status();
  pollfd waiting = {(*child)->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, 30'000), 1);
  EXPECT_EQ((*child)->Poll()->code, 0);
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("run/logs/child.log")), "alive\n");
}

TEST_F(LocalTest, ALogThatIsALinkIsNotWrittenThrough) {
  std::ofstream(dir_.Join("mine")) << "mine";
  std::filesystem::create_symlink(dir_.Join("mine"), dir_.Join("run/logs/child.log"));
  EXPECT_FALSE(Child::Start("child", {"/bin/echo", "x"}, dir_.Join("run/logs/child.log")).ok());
  EXPECT_EQ(coppice::testing::ReadAll(dir_.Join("mine")), "mine");
}

TEST_F(LocalTest, TailGivesTheLastLines) {
  const std::string path = dir_.Join("log");
  std::ofstream(path) << "one\ntwo\nthree\n";
  EXPECT_EQ(Tail(path, 2), "two\nthree");
  EXPECT_EQ(Tail(path, 9), "one\ntwo\nthree");
  std::ofstream(path, std::ios::trunc) << std::string(100'000, 'x') << "\nlast";
  EXPECT_EQ(Tail(path, 1), "last");
  EXPECT_EQ(Tail(dir_.Join("absent"), 3), "");
}

TEST_F(LocalTest, ASessionSubmitsFollowsAndCanBeStopped) {
  FakeCoordinator coordinator;
  v1::WatchSweepResponse update;
  *update.mutable_summary() = coordinator.service().sweeps[0];
  coordinator.service().updates.push_back(update);
  const auto client = *Client::Create(coordinator.address());
  Session session(client.get(), coordinator.service().spec, 2, true);
  bool submitted = false, news = false, ended = false;
  while (!ended) {
    pollfd waiting = {session.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 30'000), 1);
    for (Session::Event& event : session.Take()) {
      if (event.submitted.has_value()) submitted = event.submitted->ok();
      if (event.news.has_value()) news = event.news->model.has_value();
      if (event.ended.has_value()) ended = event.ended->ok();
    }
  }
  EXPECT_TRUE(submitted && news);
  EXPECT_EQ(coordinator.service().retry.filter().sweep(), "demo");
}

}  // namespace
}  // namespace coppice::cli
