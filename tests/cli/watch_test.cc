// status --watch: output to a pipe, reconnection, and the live display.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_split.h"
#include "cli/follow.h"
#include "tests/cli/fake_sweep_service.h"
#include "tests/testing/fake_clock.h"

namespace coppice::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() {
    AddSummary(1500);
    AddJob(3, v1::SUCCEEDED, 300);
    AddJob(4, v1::RUNNING, 0);
    AddSummary(2400);
  }
  void AddSummary(uint64_t steps_done) {
    v1::WatchSweepResponse update;
    *update.mutable_summary() = service_.sweeps[0];
    update.mutable_summary()->set_steps_done(steps_done);
    service_.updates.push_back(update);
  }
  void AddJob(uint64_t id, v1::JobState state, uint32_t step) {
    v1::WatchSweepResponse update;
    *update.mutable_job() = service_.jobs[id - 1];
    update.mutable_job()->clear_latest();
    update.mutable_job()->set_state(state);
    update.mutable_job()->set_step(step);
    service_.updates.push_back(update);
  }

  FakeCoordinator coordinator_;
  FakeSweepService& service_ = coordinator_.service();
};

TEST_F(WatchTest, APipeGetsALineAChangeAndTheTableAtTheEnd) {
  // The stream lacks the job's newest metrics. They are requested when the job ends.
  v1::MetricValue* latest = service_.jobs[2].add_latest();
  latest->set_name("id_accuracy");
  latest->set_value(0.5);
  const CliResult result = RunCommand(coordinator_.address(), {"status", "demo", "--watch"});
  EXPECT_EQ(result.code, 1) << "a job failed; " << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("demo 62%: 4 of 8 jobs ended, 12 steps/s, ETA 2m 05s\n"),
                                HasSubstr("question/2/0 succeeded at step 300: id 0.50, gen -\n"),
                                HasSubstr("question/2/1 running\n"), HasSubstr("demo 100%"),
                                HasSubstr("demo: 8 jobs: 2 succeeded")));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
}

TEST_F(WatchTest, ACoordinatorThatComesBackIsFollowedOn) {
  service_.watch_breaks = 2;
  const CliResult result = RunCommand(coordinator_.address(), {"status", "demo", "--watch"});
  EXPECT_EQ(result.err, "");
  absl::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.watch_calls, 3);
}

TEST_F(WatchTest, TheExitCodeSaysWhetherEveryJobSucceeded) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"status", "demo", "--watch"}, {"status", "demo", "--watch", "--json"}}) {
    const auto run = [&](uint64_t failed, uint64_t cancelled) {
      service_.sweeps[0].mutable_counts()->set_failed(failed);
      service_.sweeps[0].mutable_counts()->set_cancelled(cancelled);
      return RunCommand(coordinator_.address(), args).code;
    };
    EXPECT_EQ(run(0, 0), 0);
    EXPECT_EQ(run(1, 0), 1);
    EXPECT_EQ(run(0, 1), 1);
  }
}

TEST_F(WatchTest, AnEndThatIsAnErrorIsTold) {
  service_.watch_status = {grpc::StatusCode::INTERNAL, "the disk is gone"};
  const CliResult result = RunCommand(coordinator_.address(), {"status", "demo", "--watch"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("the disk is gone"));
  EXPECT_EQ(RunCommand(coordinator_.address(), {"status", "absent", "--watch"}).code, 1);
}

TEST_F(WatchTest, JsonIsOneUpdateALine) {
  const CliResult result =
      RunCommand(coordinator_.address(), {"status", "demo", "--watch", "--json"});
  EXPECT_EQ(result.err, "");
  int lines = 0;
  for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
    EXPECT_FALSE(nlohmann::json::parse(std::string(line), nullptr, false).is_discarded()) << line;
    ++lines;
  }
  EXPECT_EQ(lines, 4);
}

class FollowerTest : public WatchTest {
 protected:
  SweepNews Start() {
    SweepNews news;
    const auto client = Client::Create(coordinator_.address());
    news.model.emplace();
    EXPECT_TRUE(news.model->Load(client->get(), "demo").ok());
    return news;
  }
  SweepNews News(size_t update) {
    SweepNews news;
    news.update = service_.updates[update];
    return news;
  }

  coppice::testing::FakeClock clock_;
  std::ostringstream out_;
};

TEST_F(FollowerTest, JobChangesRedrawAtMostTenTimesASecond) {
  SweepFollower follower(out_, {.interactive = true, .width = 200, .height = 60}, &clock_);
  follower.Take(Start());
  const size_t first = out_.str().size();
  EXPECT_THAT(out_.str(), HasSubstr("seed 0"));
  for (int i = 0; i < 50; ++i) follower.Take(News(1));
  EXPECT_EQ(out_.str().size(), first) << "nothing is drawn within 100 ms";
  clock_.Advance(absl::Milliseconds(100));
  follower.Take(News(2));
  EXPECT_GT(out_.str().size(), first);
  follower.Stop();
  EXPECT_TRUE(out_.str().ends_with("\x1b[J")) << "the display is taken away at the end";
}

TEST_F(FollowerTest, ARefreshedJobMayNotUndoAChange) {
  SweepFollower follower(out_, {}, &clock_);
  follower.Take(Start());
  v1::Job late = follower.model().jobs().at(3);
  follower.Take(News(1));
  SweepNews refresh;
  late.set_step(200);
  refresh.refreshed.push_back(late);
  follower.Take(std::move(refresh));
  EXPECT_EQ(follower.model().jobs().at(3).state(), v1::SUCCEEDED);
  EXPECT_EQ(follower.model().jobs().at(3).step(), 300);
}

TEST_F(FollowerTest, AListedRunningJobMovesItsStep) {
  SweepFollower follower(out_, {}, &clock_);
  follower.Take(Start());
  SweepNews refresh;
  refresh.refreshed.push_back(follower.model().jobs().at(3));
  refresh.refreshed[0].set_step(222);
  follower.Take(std::move(refresh));
  EXPECT_EQ(follower.model().jobs().at(3).step(), 222);
}

}  // namespace
}  // namespace coppice::cli
