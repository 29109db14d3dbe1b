// Snapshots that are written during training: the contents of the file, the order of events, and
// the result when the disk fails or the process should stop.
#include "worker/trainer/checkpoint/member_checkpoints.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/fake_clock.h"
#include "tests/worker/trainer/test_directory.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MemberCheckpointsTest : public ::testing::Test {
 protected:
  MemberCheckpointsTest()
      : layout_({/*vocabulary=*/5, /*d_model=*/6, /*heads=*/2, /*d_ff=*/4, /*depth=*/1}),
        events_fd_(::open((directory_ / "events").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600)),
        events_(events_fd_, nullptr),
        context_{&run_, &layout_, /*prune=*/false, &events_, &clock_, &stop_, &executor_} {
    run_.depth = 1;
    run_.model = {6, 2, 4, 0.1};
    for (std::vector<float>* row : {&parameters_, &m_, &v_}) row->resize(layout_.row_size());
    Train();
  }
  ~MemberCheckpointsTest() override {
    executor_.Shutdown();
    ::close(events_fd_);
  }

  // Makes another state in the same memory.
  void Train() {
    ++progress_.step;
    progress_.loss_sum += 1.0 / 3;
    for (std::vector<float>* row : {&parameters_, &m_, &v_}) {
      for (float& value : *row) value = value * 0.9f + static_cast<float>(progress_.step);
    }
  }
  MemberRows Rows() { return {parameters_.data(), m_.data(), v_.data()}; }

  // The executor ends before its members.
  MemberCheckpoints* NewMember(uint64_t seed) {
    buffers_.push_back(std::make_unique<std::vector<float>>(3 * layout_.row_size()));
    members_.push_back(std::make_unique<MemberCheckpoints>(
        &context_, seed, directory_ / std::to_string(seed), buffers_.back()->data()));
    return members_.back().get();
  }
  // The digest of a file with the current state, written while nothing else happens.
  std::string DigestOfNow(uint64_t seed) {
    const absl::StatusOr<SavedCheckpoint> saved =
        SaveCheckpoint(directory_ / "at-once", run_, seed, layout_, progress_, Rows());
    EXPECT_TRUE(saved.ok()) << saved.status();
    return saved->file.digest;
  }
  // "seed/step" and digest of the checkpoint events so far.
  std::vector<std::string> Told() const {
    std::vector<std::string> told;
    for (const json& event : Events()) {
      told.push_back(std::to_string(event["seed"].get<int>()) + "/" +
                     std::to_string(event["step"].get<int>()));
    }
    return told;
  }
  std::vector<json> Events() const {
    std::vector<json> events;
    std::ifstream in(directory_ / "events");
    for (std::string line; std::getline(in, line);) events.push_back(json::parse(line));
    return events;
  }
  // Blocks the executor until `gate`.
  void Occupy(absl::Notification* gate) {
    absl::Notification begun;
    executor_.Add([&begun, gate] {
      begun.Notify();
      gate->WaitForNotification();
    });
    begun.WaitForNotification();
  }

  TestDirectory directory_;
  const ParameterLayout layout_;
  RunConfig run_;
  const int events_fd_;
  EventWriter events_;
  testing::FakeClock clock_;
  std::atomic<bool> stop_{false};
  Executor executor_;
  CheckpointContext context_;
  std::vector<std::unique_ptr<std::vector<float>>> buffers_;
  std::vector<std::unique_ptr<MemberCheckpoints>> members_;
  std::vector<float> parameters_, m_, v_;
  MemberProgress progress_;
};

TEST_F(MemberCheckpointsTest, TheFileHoldsTheStateOfTheSnapshotThoughTrainingWentOn) {
  absl::Notification gate;
  context_.save = [&](auto&&... arguments) {
    gate.WaitForNotification();
    return SaveCheckpoint(arguments...);
  };
  MemberCheckpoints* const member = NewMember(4);
  const std::string expected = DigestOfNow(4);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  Train();
  EXPECT_TRUE(Told().empty());
  gate.Notify();
  EXPECT_FALSE(member->Finish().has_value());
  ASSERT_THAT(Told(), ElementsAre("4/1"));
  EXPECT_EQ(Events()[0]["digest"], expected);
}

TEST_F(MemberCheckpointsTest, NegativeControlASnapshotThatAliasesLiveMemoryHasAnotherDigest) {
  absl::Notification gate;
  context_.save = [&](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                      const auto& progress, const MemberRows&) {
    gate.WaitForNotification();
    return SaveCheckpoint(folder, run, seed, layout, progress, Rows());
  };
  MemberCheckpoints* const member = NewMember(4);
  const std::string expected = DigestOfNow(4);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  Train();
  gate.Notify();
  EXPECT_FALSE(member->Finish().has_value());
  EXPECT_NE(Events().at(0)["digest"], expected);
}

TEST_F(MemberCheckpointsTest, OneIsUnderWayAtATimeAndItsMemoryIsUsedAgain) {
  std::atomic<int> under_way{0};
  std::set<const float*> memory;
  context_.save = [&](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                      const auto& progress, const MemberRows& rows) {
    EXPECT_EQ(under_way.fetch_add(1), 0);
    memory.insert(rows.parameters);
    const auto saved = SaveCheckpoint(folder, run, seed, layout, progress, rows);
    under_way.fetch_sub(1);
    return saved;
  };
  MemberCheckpoints* const member = NewMember(4);
  std::vector<std::string> expected, digests;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(DigestOfNow(4));
    ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
    Train();
  }
  expected.push_back(DigestOfNow(4));
  ASSERT_FALSE(member->Write(progress_, Rows()).has_value());
  for (const json& event : Events()) digests.push_back(event["digest"]);
  EXPECT_EQ(digests, expected);
  EXPECT_EQ(memory, (std::set<const float*>{buffers_[0]->data(), parameters_.data()}));
}

TEST_F(MemberCheckpointsTest, ASnapshotWaitsForTheOneBeforeIt) {
  absl::Notification begun, gate, second_asked;
  std::atomic<bool> first_written{false};
  context_.save = [&](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                      const MemberProgress& progress, const MemberRows& rows) {
    if (progress.step == 1) {
      begun.Notify();
      gate.WaitForNotification();
      first_written = true;
    } else {
      EXPECT_TRUE(first_written);
    }
    return SaveCheckpoint(folder, run, seed, layout, progress, rows);
  };
  MemberCheckpoints* const member = NewMember(4);
  const std::string expected = DigestOfNow(4);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  begun.WaitForNotification();
  Train();
  std::thread trains([&] {
    second_asked.Notify();
    EXPECT_FALSE(member->Snapshot(progress_, Rows()).has_value());
    EXPECT_TRUE(first_written);
    EXPECT_FALSE(member->Finish().has_value());
  });
  second_asked.WaitForNotification();
  gate.Notify();
  trains.join();
  EXPECT_THAT(Told(), ElementsAre("4/1", "4/2"));
  EXPECT_EQ(Events()[0]["digest"], expected);
}

TEST_F(MemberCheckpointsTest, AMemberWaitsForNoPackMate) {
  absl::Notification begun, gate;
  context_.save = [&](const auto& folder, const auto& run, uint64_t seed, const auto& layout,
                      const auto& progress, const MemberRows& rows) {
    if (seed == 0) {
      begun.Notify();
      gate.WaitForNotification();
    }
    return SaveCheckpoint(folder, run, seed, layout, progress, rows);
  };
  MemberCheckpoints *const slow = NewMember(0), *const quick = NewMember(1);
  const std::string expected = DigestOfNow(0);
  ASSERT_FALSE(slow->Snapshot(progress_, Rows()).has_value());
  begun.WaitForNotification();
  Train();
  const std::string expected_of_quick = DigestOfNow(1);
  ASSERT_FALSE(quick->Snapshot(progress_, Rows()).has_value());
  Train();
  EXPECT_FALSE(quick->Finish().has_value());  // on this thread, because the executor is busy
  EXPECT_THAT(Told(), ElementsAre("1/2"));
  gate.Notify();
  EXPECT_FALSE(slow->Finish().has_value());
  ASSERT_THAT(Told(), ElementsAre("1/2", "0/1"));
  EXPECT_EQ(Events()[0]["digest"], expected_of_quick);
  EXPECT_EQ(Events()[1]["digest"], expected);
}

TEST_F(MemberCheckpointsTest, AWriteThatFailsIsKnownWithoutWaitingAndStays) {
  int saves = 0;
  context_.save = [&](auto&&...) {
    ++saves;
    return absl::StatusOr<SavedCheckpoint>(absl::ResourceExhaustedError("the disk is full"));
  };
  MemberCheckpoints* const member = NewMember(4);
  EXPECT_FALSE(member->failure().has_value());
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  EXPECT_TRUE(member->Finish().has_value());
  for (const auto& failure :
       {member->failure(), member->Snapshot(progress_, Rows()), member->Write(progress_, Rows())}) {
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->kind, FailureKind::kDisk);
    EXPECT_EQ(failure->message, "the disk is full");
  }
  EXPECT_EQ(saves, 1);
  EXPECT_TRUE(Told().empty());
}

TEST_F(MemberCheckpointsTest, WhatAWriteThrowsEndsNoProcess) {
  context_.save = [](auto&&...) -> absl::StatusOr<SavedCheckpoint> { throw std::bad_alloc(); };
  MemberCheckpoints* const member = NewMember(4);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  const auto failure = member->Finish();
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kOutOfMemory);
  context_.save = [](auto&&...) -> absl::StatusOr<SavedCheckpoint> {
    throw std::runtime_error("odd");
  };
  const auto odd = NewMember(5)->Write(progress_, Rows());
  ASSERT_TRUE(odd.has_value());
  EXPECT_EQ(odd->kind, FailureKind::kInternal);
  EXPECT_THAT(odd->message, HasSubstr("odd"));
}

TEST_F(MemberCheckpointsTest, WhenTheProcessIsToStopWaitingOnesGiveWayToTheStateOfNow) {
  absl::Notification gate;
  MemberCheckpoints* const member = NewMember(4);
  Occupy(&gate);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  stop_ = true;
  gate.Notify();
  executor_.Shutdown();  // it has left the snapshot alone
  EXPECT_TRUE(Told().empty());
  EXPECT_TRUE(member->Supersede());
  EXPECT_FALSE(member->Supersede());
  Train();
  EXPECT_FALSE(member->Write(progress_, Rows()).has_value());
  EXPECT_THAT(Told(), ElementsAre("4/2"));
}

TEST_F(MemberCheckpointsTest, OneThatIsToBeKeptGivesWayToNone) {
  run_.checkpoint.keep_every = 1;
  absl::Notification gate;
  MemberCheckpoints* const member = NewMember(4);
  Occupy(&gate);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  stop_ = true;
  gate.Notify();
  EXPECT_FALSE(member->Supersede());
  Train();
  EXPECT_FALSE(member->Write(progress_, Rows()).has_value());
  EXPECT_THAT(Told(), ElementsAre("4/1", "4/2"));
}

TEST_F(MemberCheckpointsTest, TheEventTellsHowLongTrainingStoodStillAndHowLongTheWritingTook) {
  context_.save = [&](auto&&... arguments) {
    clock_.Advance(absl::Milliseconds(300));
    return SaveCheckpoint(arguments...);
  };
  MemberCheckpoints* const member = NewMember(4);
  ASSERT_FALSE(member->Snapshot(progress_, Rows()).has_value());
  EXPECT_FALSE(member->Finish().has_value());
  Train();
  ASSERT_FALSE(member->Write(progress_, Rows()).has_value());
  EXPECT_EQ(Events().at(0)["stall_ms"], 0.0);
  EXPECT_EQ(Events().at(0)["write_ms"], 300.0);
  EXPECT_EQ(Events().at(1)["stall_ms"], 300.0);
  EXPECT_EQ(Events().at(1)["write_ms"], 300.0);
}

}  // namespace
}  // namespace coppice::trainer
