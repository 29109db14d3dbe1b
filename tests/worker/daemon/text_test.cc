// Texts of a worker: descriptions of exits, forwarded logs.
#include <gtest/gtest.h>

#include "tests/testing/fake_clock.h"
#include "tests/worker/daemon/fakes.h"
#include "worker/daemon/log_forwarder.h"
#include "worker/program/exit_text.h"

namespace coppice::worker {
namespace {

TEST(TextTest, ExitsAreDescribedByCodeOrSignal) {
  ProcessExit exit;
  exit.code = 3;
  EXPECT_EQ(DescribeExit(exit), "exited with code 3");
  exit.signal = 11;
  EXPECT_EQ(DescribeExit(exit), "was killed by SIGSEGV");
  exit.signal = 9;
  EXPECT_EQ(DescribeExit(exit), "was killed by SIGKILL");
  exit.out_of_memory = true;
  EXPECT_NE(DescribeExit(exit).find("memory"), std::string::npos);
}

class LogForwarderTest : public ::testing::Test {
 protected:
  LogForwarderTest() {
    environment_.clock = &clock_;
    environment_.main = [this](std::function<void()> work) {
      return sequence_.Add(std::move(work));
    };
    log_ = std::make_unique<LogForwarder>(
        &environment_, [this](const std::string& text) { pieces_.push_back(text); });
  }
  std::string All() {
    std::string all;
    for (const std::string& piece : pieces_) all += piece;
    return all;
  }
  testing::FakeClock clock_;
  ManualSequence sequence_;
  Environment environment_;
  std::vector<std::string> pieces_;
  std::unique_ptr<LogForwarder> log_;
};

TEST_F(LogForwarderTest, LinesAreGatheredForAMoment) {
  log_->Add("one\n");
  log_->Add("two\n");
  EXPECT_TRUE(pieces_.empty());
  clock_.Advance(LogForwarder::kDelay);
  sequence_.RunAll();
  EXPECT_EQ(pieces_, std::vector<std::string>{"one\ntwo\n"});
}

TEST_F(LogForwarderTest, ACharacterIsNotTornApart) {
  log_->Add("a\xC3");
  log_->Flush();
  log_->Add("\xA4");
  log_->Finish();
  EXPECT_EQ(pieces_, (std::vector<std::string>{"a", "\xC3\xA4"}));
}

TEST_F(LogForwarderTest, AFloodIsCutInTheMiddleAndKeepsItsTail) {
  for (int i = 0; i < 10'000; ++i) log_->Add(std::string(99, 'x') + "\n");
  log_->Add("the end\n");
  log_->Finish();
  const std::string all = All();
  EXPECT_LE(all.size(), LogForwarder::kLiveBytes + LogForwarder::kTailBytes + 100);
  EXPECT_NE(all.find("bytes left out"), std::string::npos);
  EXPECT_EQ(all.substr(all.size() - 8), "the end\n");
}

TEST_F(LogForwarderTest, WhatIsBoundedAnywayIsForwardedWhole) {
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    const std::string line = absl::StrCat("line ", i, std::string(100, '.'), "\n");
    expected += line;
    log_->Add(line);
  }
  log_->Finish();
  ASSERT_GT(expected.size(), LogForwarder::kLiveBytes);
  EXPECT_EQ(All(), expected);
}

}  // namespace
}  // namespace coppice::worker
