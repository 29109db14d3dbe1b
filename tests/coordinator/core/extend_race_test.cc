// An extension whose plan no longer fits when it is stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/planner.h"
#include "tests/coordinator/core/memory_history.h"
#include "tests/coordinator/core/word_reader.h"

namespace coppice::core {
namespace {

using ::testing::HasSubstr;

class ExtendRace : public MemoryHistory, public ::testing::Test {
 protected:
  ExtendRace() : MemoryHistory(1) {}

  static SweepSpec Spec(const std::string& run, uint32_t steps) {
    SweepSpec spec;
    spec.name = "s";
    spec.spec_blob = "seeds=0,1 run=" + run;
    GroupSpec group;
    group.task = "dyck";
    group.depth = 2;
    group.run_json = run;
    group.steps = steps;
    group.report_every = 10;
    group.checkpoint_every = 20;
    spec.groups = {group};
    spec.seeds = {0, 1};
    return spec;
  }
  absl::Status Do(const Body& body) {
    absl::Status status;
    Add("command", [&](CommandContext& tx) { return status = body(tx); });
    RunBatch();
    return status;
  }
  void Submit() {
    Submission submission;
    submission.spec = std::make_shared<const SweepSpec>(Spec("lr=1", 100));
    submission.plan = MakePlan(*submission.spec, 0);
    ASSERT_EQ(Do([&](CommandContext& tx) { return BeginSubmit(tx, submission).status(); }),
              absl::OkStatus());
  }
  ExtensionPlan Plan(const SweepSpec& spec) {
    ExtensionPlan plan;
    const absl::Status planned = store_->Read([&](ReadTransaction& read) -> absl::Status {
      auto made = PlanExtension(read, {spec, false, std::make_shared<const WordReader>()});
      if (made.ok()) plan = *std::move(made);
      return made.status();
    });
    EXPECT_EQ(planned, absl::OkStatus());
    EXPECT_TRUE(plan.extension.refused.empty());
    return plan;
  }
  absl::Status Store(const SweepSpec& spec, const ExtensionPlan& plan) {
    return Do([&](CommandContext& tx) {
      return BeginExtend(tx, Caller(), spec.spec_blob, plan).status();
    });
  }
  // Grants both jobs to a worker.
  void GrantAll() {
    WorkerInfo info;
    info.name = info.instance = "w";
    info.slots = 1;
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(Do([&](CommandContext& tx) -> absl::Status {
                  const auto answer = RegisterWorker(tx, info, {}, "id");
                  if (answer.ok()) info.incarnation = answer->incarnation;
                  return answer.status();
                }),
                absl::OkStatus());
    }
    ASSERT_EQ(Do([](CommandContext& tx) {
                return AcquireLeases(tx, {"id", "r", 0, 4, 1000}, {}, [](auto) {}).status();
              }),
              absl::OkStatus());
    Grant();
    ASSERT_EQ(memory_->leases.All().size(), 2u);
  }
};

TEST_F(ExtendRace, AJobThatBeginsMeanwhileKeepsItsSettings) {
  Submit();
  const SweepSpec wanted = Spec("lr=2", 100);
  const ExtensionPlan plan = Plan(wanted);
  GrantAll();
  const absl::Status stored = Store(wanted, plan);
  EXPECT_TRUE(absl::IsFailedPrecondition(stored)) << stored;
  EXPECT_THAT(std::string(stored.message()), HasSubstr("dyck/2 have begun meanwhile"));
  EXPECT_EQ(memory_->catalog.GroupsOf(1).at(0)->spec.run_json, "lr=1");
  EXPECT_TRUE(MemoryIsAsRebuilt());
}

TEST_F(ExtendRace, ASweepThatChangedMeanwhileIsNotOverwritten) {
  Submit();
  const ExtensionPlan plan = Plan(Spec("lr=1", 200));
  const SweepSpec other = Spec("lr=3", 100);
  EXPECT_EQ(Store(other, Plan(other)), absl::OkStatus());
  EXPECT_TRUE(absl::IsAborted(Store(Spec("lr=1", 200), plan)));
  EXPECT_EQ(memory_->catalog.GroupsOf(1).at(0)->spec.run_json, "lr=3");
}

// The counts are those of the moment at which it is stored.
TEST_F(ExtendRace, JobsThatHaveEndedMeanwhileGoOnToo) {
  Submit();
  const SweepSpec wanted = Spec("lr=1", 200);
  const ExtensionPlan plan = Plan(wanted);
  EXPECT_TRUE(plan.to_follow.empty());
  GrantAll();
  for (const LeaseEntry& lease : memory_->leases.All()) {
    std::vector<Record> records;
    for (uint32_t step = 10; step <= 100; step += 10)
      records.push_back({lease.ref, records.size() + 1, MetricRow{step, {{"loss", 1}}}});
    const std::string path = CheckpointDir("s", lease.ref) + "/step-100.safetensors";
    records.push_back({lease.ref, 11, CheckpointRecord{100, path, std::string(32, 'a'), 7}});
    records.push_back({lease.ref, 12, Completion{100}});
    ASSERT_EQ(Do([&](CommandContext& tx) { return AppendRecords(tx, "id", records).status(); }),
              absl::OkStatus());
  }
  EXPECT_EQ(Store(wanted, plan), absl::OkStatus());
  EXPECT_EQ(memory_->dispatcher.scheduler.CountGrantable(), 2u);
  EXPECT_TRUE(MemoryIsAsRebuilt());
}

}  // namespace
}  // namespace coppice::core
