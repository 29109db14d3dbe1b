// The bookkeeping of a member without a loop or a model: what is due at a step boundary, in which
// order, and where the saved rows come from.
#include "worker/trainer/train/member.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/fake_clock.h"
#include "tests/worker/trainer/test_directory.h"

namespace coppice::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RunConfig ShortRun() {
  RunConfig run;
  run.depth = 1;
  run.model = {6, 2, 4, 0.1};
  run.train.steps = 10;
  run.report.every = 4;
  run.checkpoint.every = 6;
  return run;
}

class MemberTest : public ::testing::Test {
 protected:
  MemberTest()
      : run_(ShortRun()),
        layout_({/*vocabulary=*/5, /*d_model=*/6, /*heads=*/2, /*d_ff=*/4, /*depth=*/1}),
        events_fd_(::open((directory_ / "events").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600)),
        events_(events_fd_, nullptr),
        checkpoints_{&run_, &layout_, /*prune=*/false, &events_, &clock_, &stop_, &executor_},
        rows_(3, std::vector<float>(layout_.row_size())),
        snapshot_(3 * layout_.row_size()) {
    context_.run = run_;
    context_.probes = &probes_;
    context_.layout = &layout_;
    context_.events = &events_;
    context_.clock = &clock_;
    context_.stop = &stop_;
    context_.checkpoints = &checkpoints_;
    member_ = std::make_unique<Member>(
        &context_, 0, MemberSpec{7, directory_ / "7", ""},
        MemberRows{rows_[0].data(), rows_[1].data(), rows_[2].data()}, snapshot_.data());
    member_->Initialize();
    member_->Begin(clock_.Monotonic(), [this] { ++fetches_; });
  }
  ~MemberTest() override {
    executor_.Shutdown();
    ::close(events_fd_);
  }

  // A loop's part of the training up to `step`.
  void TrainTo(int64_t step) {
    MemberProgress progress = member_->progress();
    progress.loss_steps += step - progress.step;
    progress.step = step;
    member_->SetProgress(progress);
  }
  bool Settle() {
    return member_->Settle(
        [this](MetricValues* values) {
          ++measurements_;
          if (measures_) values->emplace_back("val_loss", 1.5);
          return measures_;
        },
        std::nullopt);
  }
  // "kind/step" of every event so far. Snapshots are written by then.
  std::vector<std::string> Events() {
    executor_.Shutdown();
    std::vector<std::string> events;
    std::ifstream in(directory_ / "events");
    for (std::string line; std::getline(in, line);) {
      const auto event = nlohmann::json::parse(line);
      events.push_back(event["event"].get<std::string>() + "/" +
                       std::to_string(event["step"].get<int>()));
    }
    return events;
  }

  TestDirectory directory_;
  const RunConfig run_;
  const ParameterLayout layout_;
  const int events_fd_;
  EventWriter events_;
  testing::FakeClock clock_;
  std::atomic<bool> stop_{false};
  Executor executor_;
  const Probes probes_;
  CheckpointContext checkpoints_;
  PackContext context_;
  std::vector<std::vector<float>> rows_;
  std::vector<float> snapshot_;
  std::unique_ptr<Member> member_;
  int fetches_ = 0, measurements_ = 0;
  bool measures_ = true;
};

TEST_F(MemberTest, KnowsTheStepsToItsNextBoundary) {
  EXPECT_EQ(member_->StepsToBoundary(), 4);
  TrainTo(4);
  EXPECT_TRUE(member_->ReportDue());
  EXPECT_EQ(member_->StepsToBoundary(), 2);
  TrainTo(8);
  EXPECT_EQ(member_->StepsToBoundary(), 2);
}

TEST_F(MemberTest, NothingIsDueBetweenBoundaries) {
  TrainTo(3);
  EXPECT_TRUE(Settle());
  EXPECT_EQ(measurements_, 0);
  EXPECT_EQ(fetches_, 0);
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(MemberTest, ReportsThenSavesThenEnds) {
  TrainTo(4);
  EXPECT_TRUE(Settle());
  EXPECT_EQ(fetches_, 0) << "a report needs no rows in host memory";
  TrainTo(10);
  EXPECT_FALSE(Settle());
  EXPECT_EQ(member_->state(), MemberState::kDone);
  EXPECT_EQ(fetches_, 1);
  EXPECT_EQ(measurements_, 2);
  EXPECT_THAT(Events(), ElementsAre("metrics/4", "metrics/10", "checkpoint/10", "done/10"));
}

TEST_F(MemberTest, AStopSavesTheRowsAndPreempts) {
  TrainTo(3);
  stop_ = true;
  EXPECT_FALSE(Settle());
  EXPECT_EQ(member_->state(), MemberState::kPreempted);
  EXPECT_EQ(fetches_, 1);
  EXPECT_THAT(Events(), ElementsAre("checkpoint/3", "preempted/3"));
}

TEST_F(MemberTest, AnAbandonedReportPreemptsWithoutMetrics) {
  TrainTo(4);
  measures_ = false;
  EXPECT_FALSE(Settle());
  EXPECT_EQ(member_->state(), MemberState::kPreempted);
  EXPECT_THAT(Events(), ElementsAre("checkpoint/4", "preempted/4"));
}

TEST_F(MemberTest, FailsOfTheExceptionThatIsHandled) {
  TrainTo(2);
  try {
    throw std::runtime_error("the device is gone");
  } catch (const std::exception&) {
    member_->FailOfException();
  }
  EXPECT_EQ(member_->state(), MemberState::kFailed);
  EXPECT_FALSE(Settle()) << "a member that has ended does nothing";
  EXPECT_EQ(fetches_, 0);
  EXPECT_THAT(Events(), ElementsAre("failed/2"));
}

}  // namespace
}  // namespace coppice::trainer
