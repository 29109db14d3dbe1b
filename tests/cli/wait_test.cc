// `coppice wait` ends with the sweeps, and its exit code tells how they ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/cli_fixture.h"

namespace coppice::cli {
namespace {

using ::testing::HasSubstr;

class WaitTest : public CliFixture {
 protected:
  WaitTest() { End(0, 0); }
  void End(uint64_t failed, uint64_t cancelled) {
    absl::MutexLock lock(&service().mutex);
    v1::JobCounts* counts = service().sweeps[0].mutable_counts();
    counts->Clear();
    counts->set_failed(failed);
    counts->set_cancelled(cancelled);
    counts->set_succeeded(8 - failed - cancelled);
  }
};

TEST_F(WaitTest, EndsWithZeroOnlyWhenEveryJobSucceeded) {
  EXPECT_THAT(Ok({"wait", "demo"}), HasSubstr("demo: 8 jobs: 8 succeeded"));
  EXPECT_THAT(Ok({"wait"}), HasSubstr("8 succeeded")) << "the only sweep need not be named";
  End(1, 0);
  EXPECT_EQ(Run({"wait", "demo"}).code, 1);
  End(0, 1);
  const CliResult result = Run({"wait", "demo"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("1 cancelled"));
}

TEST_F(WaitTest, OneBadSweepOfSeveralIsEnough) {
  {
    absl::MutexLock lock(&service().mutex);
    v1::SweepSummary other = service().sweeps[0];
    other.set_name("other");
    other.mutable_counts()->set_failed(1);
    service().sweeps.push_back(other);
  }
  EXPECT_EQ(Run({"wait", "demo", "demo"}).code, 0);
  EXPECT_EQ(Run({"wait", "demo", "absent"}).code, 1);
  const CliResult both = Run({"wait", "demo", "other", "--json"});
  EXPECT_EQ(both.code, 1);
  const auto json = nlohmann::json::parse(both.out);
  ASSERT_EQ(json["sweeps"].size(), 2u);
  EXPECT_EQ(json["sweeps"][1]["name"], "other");
  EXPECT_EQ(json["sweeps"][1]["counts"]["failed"], "1");
}

TEST_F(WaitTest, GoesOnWhenTheCoordinatorComesBack) {
  {
    absl::MutexLock lock(&service().mutex);
    v1::WatchSweepResponse update;
    *update.mutable_summary() = service().sweeps[0];
    service().updates.push_back(update);
    service().watch_breaks = 2;
  }
  Ok({"wait", "demo"});
  absl::MutexLock lock(&service().mutex);
  EXPECT_EQ(service().watch_calls, 3);
}

TEST_F(WaitTest, GivesUpWhenItsTimeIsOver) {
  {
    absl::MutexLock lock(&service().mutex);
    service().sweeps[0].mutable_counts()->set_succeeded(5);
    service().sweeps[0].mutable_counts()->set_running(3);
    v1::WatchSweepResponse update;
    *update.mutable_summary() = service().sweeps[0];
    service().updates.push_back(update);
    service().watch_breaks = 1'000'000;
  }
  const CliResult result = Run({"wait", "demo", "--timeout", "300ms"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("demo has not ended after 300ms: 3 of 8 jobs run"));
}

TEST_F(WaitTest, ATimeThatIsNoneIsAUsageError) {
  for (const char* bad : {"soon", "0s", "-1s", "5"}) {
    const CliResult result = Run({"wait", "demo", "--timeout", bad});
    EXPECT_EQ(result.code, 2) << bad;
    EXPECT_THAT(result.err, HasSubstr("30m"));
  }
}

}  // namespace
}  // namespace coppice::cli
