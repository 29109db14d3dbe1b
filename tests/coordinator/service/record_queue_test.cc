// The order in which a stream's records reach the core.
#include "coordinator/service/record_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coppice::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr core::LeaseRef kA{1, 1};
constexpr core::LeaseRef kB{2, 1};

core::Record Row(const core::LeaseRef& lease, uint64_t number) {
  return {lease, number, core::MetricRow{static_cast<uint32_t>(number), {}}};
}
core::Record Checkpoint(const core::LeaseRef& lease, uint64_t number,
                        const std::string& left_out = "") {
  return {lease, number, core::CheckpointRecord{10, "path", "digest", 7, left_out}};
}

class RecordQueueTest : public ::testing::Test {
 protected:
  // Job and number of each record of the next batch.
  std::vector<std::pair<uint64_t, uint64_t>> Batch() {
    std::vector<std::pair<uint64_t, uint64_t>> numbers;
    batch_ = queue_.TakeBatch();
    for (const core::Record& record : batch_) {
      numbers.emplace_back(record.lease.job_id, record.number);
    }
    return numbers;
  }
  void Refuse(const core::LeaseRef& lease, uint64_t number) {
    core::AttemptAnswer answer{lease, number - 1};
    answer.refusal = absl::InvalidArgumentError("bad");
    queue_.Answered(answer);
  }
  using N = std::pair<uint64_t, uint64_t>;

  const std::shared_ptr<ByteBudget> budget_ = std::make_shared<ByteBudget>(1 << 20);
  RecordQueue queue_{budget_};
  std::vector<core::Record> batch_;
};

TEST_F(RecordQueueTest, ACheckpointHoldsUpItsOwnAttemptAlone) {
  queue_.Add({Row(kA, 1), Checkpoint(kA, 2), Row(kB, 1), Row(kA, 3)});
  const auto checks = queue_.TakeChecks();
  ASSERT_THAT(checks, SizeIs(1));
  EXPECT_EQ(checks[0].lease, kA);
  EXPECT_EQ(checks[0].checkpoint.path, "path");
  EXPECT_THAT(queue_.TakeChecks(), IsEmpty()) << "each is started once";
  EXPECT_THAT(Batch(), ElementsAre(N{1, 1}, N{2, 1}));
  queue_.Add({Row(kA, 4), Row(kB, 2)});
  EXPECT_THAT(Batch(), ElementsAre(N{2, 2}));
  EXPECT_EQ(queue_.size(), 3u);
  queue_.Checked(kA, checks[0].id, "no file");
  EXPECT_THAT(Batch(), ElementsAre(N{1, 2}, N{1, 3}, N{1, 4}));
  EXPECT_EQ(std::get<core::CheckpointRecord>(batch_[0].content).left_out, "no file");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(RecordQueueTest, ChecksOfOneAttemptFollowEachOther) {
  queue_.Add({Checkpoint(kA, 1), Row(kA, 2), Checkpoint(kA, 3), Row(kA, 4)});
  const auto first = queue_.TakeChecks();
  ASSERT_THAT(first, SizeIs(1));
  queue_.Checked(kA, first[0].id, "");
  EXPECT_THAT(Batch(), ElementsAre(N{1, 1}, N{1, 2}));
  const auto second = queue_.TakeChecks();
  ASSERT_THAT(second, SizeIs(1));
  queue_.Checked(kA, first[0].id, "too late");  // an answer to the first changes nothing
  EXPECT_THAT(Batch(), IsEmpty());
  queue_.Checked(kA, second[0].id, "");
  EXPECT_THAT(Batch(), ElementsAre(N{1, 3}, N{1, 4}));
}

TEST_F(RecordQueueTest, AWithdrawnCheckpointNeedsNoCheck) {
  queue_.Add({Checkpoint(kA, 1, "withdrawn"), Row(kA, 2)});
  EXPECT_THAT(queue_.TakeChecks(), IsEmpty());
  EXPECT_THAT(Batch(), ElementsAre(N{1, 1}, N{1, 2}));
}

TEST_F(RecordQueueTest, AfterARefusalOnlyAnotherRecordUnderItsNumberGoesOn) {
  queue_.Add({Row(kA, 4), Row(kA, 5)});
  Batch();
  queue_.Add({Row(kA, 6), Checkpoint(kA, 7), Row(kA, 8), Row(kB, 1)});  // sent meanwhile
  Refuse(kA, 5);
  queue_.Add({Row(kA, 9), Row(kB, 2)});
  EXPECT_THAT(queue_.TakeChecks(), IsEmpty());
  EXPECT_THAT(Batch(), ElementsAre(N{2, 1}, N{2, 2}));
  EXPECT_TRUE(queue_.empty());
  queue_.Add({Row(kA, 5), Row(kA, 6)});
  EXPECT_THAT(Batch(), ElementsAre(N{1, 5}, N{1, 6}));
  Refuse(kA, 6);
  queue_.Add({Row(kA, 1), Row(kA, 2)});  // a worker that starts over from the first
  EXPECT_THAT(Batch(), ElementsAre(N{1, 1}, N{1, 2}));
}

TEST_F(RecordQueueTest, ACheckThatARefusalHasOvertakenChangesNothing) {
  queue_.Add({Row(kA, 1), Checkpoint(kA, 2)});
  Batch();
  const auto checks = queue_.TakeChecks();
  Refuse(kA, 1);
  queue_.Checked(kA, checks[0].id, "");
  EXPECT_THAT(Batch(), IsEmpty());
}

TEST_F(RecordQueueTest, TheBudgetGetsBackWhatWasTaken) {
  {
    RecordQueue other(budget_);
    other.Add({Row(kA, 1), Checkpoint(kA, 2), Row(kA, 3)});
    EXPECT_GT(budget_->used(), 0u);
  }
  EXPECT_EQ(budget_->used(), 0u) << "a stream that ends";
  queue_.Add({Row(kA, 1), Checkpoint(kA, 2), Row(kA, 3), Row(kB, 1)});
  EXPECT_EQ(budget_->used(), queue_.bytes());
  queue_.Checked(kA, queue_.TakeChecks()[0].id, "a reason");
  EXPECT_EQ(budget_->used(), queue_.bytes());
  Batch();
  EXPECT_EQ(budget_->used(), 0u);
  queue_.Add({Row(kA, 4), Checkpoint(kA, 5)});
  Refuse(kA, 4);
  EXPECT_EQ(budget_->used(), 0u) << "what a refusal drops";
  EXPECT_EQ(queue_.size(), 0u);
}

}  // namespace
}  // namespace coppice::service
