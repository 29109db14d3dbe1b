#include "worker/daemon/member_end.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

namespace coppice::worker {
namespace {

using Kind = MemberEnd::Kind;

ProcessExit Exited(int code) {
  ProcessExit exit;
  exit.code = code;
  return exit;
}

ProcessExit Killed(int signal) {
  ProcessExit exit;
  exit.signal = signal;
  return exit;
}

TrainerFacts Running(bool program = false) {
  TrainerFacts trainer;
  trainer.program = program;
  trainer.started = true;
  return trainer;
}

void Expect(const MemberEnd& end, Kind kind, FailureKind failure, bool troubled) {
  EXPECT_EQ(end.kind, kind) << end.text;
  if (kind == Kind::kFailed) {
    EXPECT_EQ(end.failure, failure) << end.text;
  }
  EXPECT_EQ(end.troubled, troubled) << end.text;
}

TEST(MemberEndTest, AnExitWithoutAReasonIsACrash) {
  const MemberEnd end = EndOf(Running(), Exited(0), 7);
  Expect(end, Kind::kFailed, FailureKind::kCrashed, false);
  EXPECT_EQ(end.text, "the trainer exited with code 0 before seed 7 ended");
  Expect(EndOf(TrainerFacts(), Exited(1), 7), Kind::kFailed, FailureKind::kCrashed, true);
}

TEST(MemberEndTest, ASignalOfSomebodyElseIsARequestToStop) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2})
    Expect(EndOf(Running(true), Killed(signal), 0), Kind::kReleased, {}, true);
  Expect(EndOf(Running(), Killed(SIGSEGV), 0), Kind::kFailed, FailureKind::kCrashed, false);
}

TEST(MemberEndTest, ExitCode75IsAStopForTheTrainerButNotForAProgramThatNobodyStopped) {
  Expect(EndOf(Running(), Exited(75), 0), Kind::kReleased, {}, false);
  Expect(EndOf(Running(true), Exited(75), 0), Kind::kFailed, FailureKind::kCrashed, false);
  TrainerFacts stopped = Running(true);
  stopped.stop_reason = "drained";
  EXPECT_EQ(EndOf(stopped, Exited(75), 0).text, "drained");
  Expect(EndOf(stopped, Killed(SIGKILL), 0), Kind::kReleased, {}, false);
}

TEST(MemberEndTest, AFaultComesBeforeEverythingElse) {
  TrainerFacts trainer = Running();
  trainer.stop_reason = "drained";
  trainer.fault = TrainerFacts::Fault{FailureKind::kGarbage, "no JSON"};
  const MemberEnd end = EndOf(trainer, Killed(SIGKILL), 0);
  Expect(end, Kind::kFailed, FailureKind::kGarbage, false);
  EXPECT_EQ(end.text, "no JSON");
}

TEST(MemberEndTest, AStallIsThisMachinesFaultAndATimeLimitIsNot) {
  TrainerFacts trainer = Running(true);
  trainer.overdue = TrainerFacts::Fault{FailureKind::kStalled, "still"};
  Expect(EndOf(trainer, Killed(SIGKILL), 0), Kind::kFailed, FailureKind::kStalled, true);
  trainer.overdue->kind = FailureKind::kTimeLimit;
  Expect(EndOf(trainer, Exited(75), 0), Kind::kFailed, FailureKind::kTimeLimit, false);
}

TEST(MemberEndTest, ARefusalNeedsItsReason) {
  TrainerFacts trainer;
  Expect(EndOf(trainer, Exited(2), 0), Kind::kFailed, FailureKind::kInternal, true);
  trainer.refused = "heads must divide d_model";
  const MemberEnd end = EndOf(trainer, Exited(2), 0);
  Expect(end, Kind::kFailed, FailureKind::kRefused, true);
  EXPECT_EQ(end.text, "heads must divide d_model");
}

TEST(MemberEndTest, AKillForMemoryIsToldApart) {
  ProcessExit exit = Killed(SIGKILL);
  exit.out_of_memory = true;
  Expect(EndOf(Running(), exit, 0), Kind::kOutOfMemory, {}, false);
}

}  // namespace
}  // namespace coppice::worker
