// The engine with checkpoints that are written during training. Gates in the writer fix the order
// of events.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/trainer/pack_runner.h"

namespace coppice::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::Le;

constexpr absl::Duration kPatience = absl::Seconds(60);

const Dataset& Questions() {
  static const Dataset* const dataset = new Dataset(SmallDataset(Task::kQuestion));
  return *dataset;
}

class BackgroundCheckpointTest : public testing::Test {
 protected:
  PackRun Pack(const std::vector<uint64_t>& seeds) {
    PackRun pack{SmallRun(Task::kQuestion), {}};  // 30 steps; reports every 7, checkpoints every 10
    for (const uint64_t seed : seeds) {
      pack.members.push_back({seed, directory_ / ("seed-" + std::to_string(seed)), ""});
    }
    pack.before_run = [this](Engine& engine) { engine_ = &engine; };
    return pack;
  }
  // Calls `act` whenever the only member, on its thread, reads the clock at `step` or later.
  void FromStep(PackRun* pack, int64_t step, std::function<void(std::atomic<bool>*)> act) {
    pack->on_clock = [this, step, act = std::move(act)](int, std::atomic<bool>* stop) {
      // Before the first snapshot no other thread than the engine's own reads the clock.
      const std::thread::id self = std::this_thread::get_id();
      if (self == main_ || engine_ == nullptr) return;
      const int64_t now = engine_.load()->member(0).step();
      if (now < 10) trains_ = self;
      if (now >= step && self == trains_) act(stop);
    };
  }
  // Calls `act` before the write of step 10.
  static SaveFunction WithTen(std::function<void()> act) {
    return [act = std::move(act)](const auto& folder, const auto& run, uint64_t seed,
                                  const auto& layout, const auto& progress, const auto& rows) {
      if (progress.step == 10) act();
      return SaveCheckpoint(folder, run, seed, layout, progress, rows);
    };
  }
  static std::vector<std::string> Order(const PackResult& result, uint64_t seed) {
    std::vector<std::string> order;
    for (const nlohmann::json& event : result.events) {
      if (event.value("seed", ~uint64_t{0}) != seed) continue;
      order.push_back(event["event"].get<std::string>() + " " + event["step"].dump());
    }
    return order;
  }
  static void NotifyOnce(absl::Notification* notification, std::atomic<bool>* done) {
    if (!done->exchange(true)) notification->Notify();
  }

  TestDirectory directory_;
  const std::thread::id main_ = std::this_thread::get_id();
  std::atomic<Engine*> engine_{nullptr};
  std::atomic<std::thread::id> trains_{};
};

TEST_F(BackgroundCheckpointTest, TrainingGoesOnWhileOneIsWritten) {
  absl::Notification far;
  std::atomic<bool> told{false};
  PackRun pack = Pack({3});
  pack.run.train.steps = 20;
  FromStep(&pack, 16, [&](std::atomic<bool>*) { NotifyOnce(&far, &told); });
  pack.save = WithTen([&] { EXPECT_TRUE(far.WaitForNotificationWithTimeout(kPatience)); });
  const PackResult result = RunPack(Questions(), pack);
  std::vector<std::string> order = Order(result, 3);
  // It may end before or after the last report, but must end before the last checkpoint begins.
  ASSERT_EQ(order.size(), 6u);
  if (order[2] == "metrics 20") std::swap(order[2], order[3]);
  EXPECT_THAT(order, ElementsAre("metrics 7", "metrics 14", "checkpoint 10", "metrics 20",
                                 "checkpoint 20", "done 20"));
}

TEST_F(BackgroundCheckpointTest, ItsFileEqualsTheOneThatAPreemptionWritesAtTheSameStep) {
  PackRun pack = Pack({3});
  FromStep(&pack, 10, [](std::atomic<bool>* stop) { stop->store(true); });
  const PackResult preempted = RunPack(Questions(), pack);
  ASSERT_THAT(Order(preempted, 3), ElementsAre("metrics 7", "checkpoint 10", "preempted 10"));
  const nlohmann::json written = preempted.Of("checkpoint", 3).at(0);
  EXPECT_GE(written["stall_ms"].get<double>(), written["write_ms"].get<double>())
      << "it was not written at once, so the test proves nothing";

  absl::Notification far;
  std::atomic<bool> told{false};
  FromStep(&pack, 16, [&](std::atomic<bool>*) { NotifyOnce(&far, &told); });
  pack.save = WithTen([&] { EXPECT_TRUE(far.WaitForNotificationWithTimeout(kPatience)); });
  const PackResult result = RunPack(Questions(), pack);
  EXPECT_EQ(result.Of("checkpoint", 3).at(0)["step"], 10);
  EXPECT_EQ(result.Of("checkpoint", 3).at(0)["digest"], written["digest"]);
}

TEST_F(BackgroundCheckpointTest, OneThatCannotBeWrittenFailsItsMemberAlone) {
  const PackResult undisturbed = RunPack(Questions(), Pack({0, 1}));
  PackRun pack = Pack({0, 1});
  for (MemberSpec& member : pack.members) member.checkpoint_dir += "-again";
  pack.save = [](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                 const auto& progress, const auto& rows) -> absl::StatusOr<SavedCheckpoint> {
    if (seed == 0) return absl::ResourceExhaustedError("the disk is full");
    return SaveCheckpoint(folder, run, seed, layout, progress, rows);
  };
  const PackResult result = RunPack(Questions(), pack);
  ASSERT_EQ(result.Of("failed", 0).size(), 1u);
  EXPECT_EQ(result.Of("failed", 0)[0]["kind"], "disk");
  EXPECT_EQ(result.Of("failed", 0)[0]["message"], "the disk is full");
  // At the latest at the step of the next checkpoint.
  EXPECT_THAT(result.Of("failed", 0)[0]["step"].get<int>(), AllOf(Ge(10), Le(20)));
  EXPECT_TRUE(result.Of("checkpoint", 0).empty());
  EXPECT_TRUE(result.Of("done", 0).empty());
  EXPECT_EQ(result.FinalDigest(1), undisturbed.FinalDigest(1));
  EXPECT_EQ(result.Of("done", 1).size(), 1u);
}

TEST_F(BackgroundCheckpointTest, APreemptionWaitsForTheOneThatIsBeingWritten) {
  absl::Notification begun, stopped;
  std::atomic<bool> told{false};
  PackRun pack = Pack({3});
  FromStep(&pack, 12, [&](std::atomic<bool>* stop) {
    EXPECT_TRUE(begun.WaitForNotificationWithTimeout(kPatience));
    stop->store(true);
    NotifyOnce(&stopped, &told);
  });
  pack.save = WithTen([&] {
    begun.Notify();
    EXPECT_TRUE(stopped.WaitForNotificationWithTimeout(kPatience));
  });
  const PackResult result = RunPack(Questions(), pack);
  const std::vector<std::string> order = Order(result, 3);
  ASSERT_EQ(order.size(), 4u);
  // A step that was about to begin may still be done.
  const std::string step = order[3] == "preempted 13" ? "13" : "12";
  EXPECT_THAT(order,
              ElementsAre("metrics 7", "checkpoint 10", "checkpoint " + step, "preempted " + step));
  EXPECT_TRUE(result.outcome.preempted);
}

TEST_F(BackgroundCheckpointTest, AFailureOfTheMemberIsToldBehindTheOneThatIsBeingWritten) {
  absl::Notification begun, poisoned;
  std::atomic<bool> told{false};
  PackRun pack = Pack({3});
  FromStep(&pack, 12, [&](std::atomic<bool>*) {
    if (told) return;
    EXPECT_TRUE(begun.WaitForNotificationWithTimeout(kPatience));
    std::fill_n(engine_.load()->member(0).rows().parameters, 2000,
                std::numeric_limits<float>::quiet_NaN());
    NotifyOnce(&poisoned, &told);
  });
  pack.save = WithTen([&] {
    begun.Notify();
    EXPECT_TRUE(poisoned.WaitForNotificationWithTimeout(kPatience));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time to fail too early
  });
  const PackResult result = RunPack(Questions(), pack);
  EXPECT_THAT(Order(result, 3), ElementsAre("metrics 7", "checkpoint 10", "failed 12"));
  EXPECT_EQ(result.Of("failed", 3).at(0)["kind"], "nan");
}

TEST_F(BackgroundCheckpointTest, MembersKeepApartAndEachHasOneUnderWay) {
  const PackResult alone = RunPack(Questions(), Pack({1}));
  std::atomic<int> under_way[3] = {};
  PackRun pack = Pack({0, 1, 2});
  for (MemberSpec& member : pack.members) member.checkpoint_dir += "-pack";
  pack.threads = 3;
  pack.run.checkpoint.every = 2;
  pack.save = [&](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                  const auto& progress, const auto& rows) {
    EXPECT_EQ(under_way[seed].fetch_add(1), 0);
    const auto saved = SaveCheckpoint(folder, run, seed, layout, progress, rows);
    under_way[seed].fetch_sub(1);
    return saved;
  };
  const PackResult result = RunPack(Questions(), pack);
  for (const uint64_t seed : {0, 1, 2}) {
    const std::vector<nlohmann::json> checkpoints = result.Of("checkpoint", seed);
    ASSERT_EQ(checkpoints.size(), 15u);
    for (size_t i = 0; i < checkpoints.size(); ++i) EXPECT_EQ(checkpoints[i]["step"], 2 * (i + 1));
    EXPECT_EQ(Order(result, seed).back(), "done 30");
  }
  EXPECT_EQ(result.Metrics(1), alone.Metrics(1));
}

}  // namespace
}  // namespace coppice::trainer
