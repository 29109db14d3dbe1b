#include "coordinator/core/job_filter.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "tests/coordinator/core/harness.h"

namespace coppice::core {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Lt;

// Walks over a stored sweep, a few reads at a time.
class JobFilterTest : public Harness {
 protected:
  void Store(const SweepSpec& spec) {
    ASSERT_TRUE(Submit(spec).ok());
    ASSERT_TRUE(store_
                    ->Read([&](ReadTransaction& read) -> absl::Status {
                      const SweepRow sweep = **read.FindSweep(spec.name);
                      catalog_.Add(sweep, *read.ListGroups(sweep.id));
                      return absl::OkStatus();
                    })
                    .ok());
  }
  // Returns the ids of all walks together. `walks_` counts the walks.
  std::vector<JobId> Walk(const JobFilter& filter, uint64_t most) {
    std::vector<JobId> ids;
    walks_ = 0;
    for (JobId after = 0;; ++walks_) {
      absl::StatusOr<JobId> next;
      store_
          ->Read([&](ReadTransaction& read) -> absl::Status {
            next = WalkJobs(read, catalog_, filter, StateSet::All(), after, most,
                            [&](const JobRow& job, const GroupInfo&) {
                              ids.push_back(job.id);
                              return true;
                            });
            return absl::OkStatus();
          })
          .IgnoreError();
      EXPECT_TRUE(next.ok()) << next.status();
      if (!next.ok() || *next == 0) return ids;
      EXPECT_GT(*next, after) << "it gets nowhere";
      if (*next <= after) return ids;
      after = *next;
    }
  }

  Catalog catalog_;
  int walks_ = 0;
};

TEST_F(JobFilterTest, ASeedOfAMillionIsFoundWithFewLooks) {
  SweepSpec spec = Spec("large", {Group("dyck", 2), Group("dyck", 4)}, 20'000);
  Store(spec);
  JobFilter filter = Whole("large");
  filter.seeds = {19'999, 3};
  EXPECT_THAT(Walk(filter, 20), ElementsAre(4, 20'000, 20'004, 40'000));
  EXPECT_THAT(walks_, Lt(2));
  filter.seeds = {20'000};
  EXPECT_THAT(Walk(filter, 100), ElementsAre());
}

TEST_F(JobFilterTest, JobsThatDoNotFitCountAsLookedAt) {
  Store(Spec("s", {Group("dyck", 2)}, 1000));
  JobFilter filter = Whole("s");
  for (uint32_t seed = 0; seed < 1000; seed += 2)
    filter.seeds.push_back(seed);  // too many to search
  EXPECT_EQ(Walk(filter, 100).size(), 500u);
  EXPECT_EQ(walks_, 9);
}

GroupSpec At(const std::string& task, uint32_t depth, Point point) {
  GroupSpec group;
  group.task = task;
  group.depth = depth;
  group.run_json = "{}";
  group.steps = 100;
  group.report_every = 10;
  group.checkpoint_every = 20;
  group.work_per_step = 1;
  group.point = std::move(point);
  return group;
}

// Three points of two seeds each, on axes of which one has linked settings.
SweepSpec AxesSpec() {
  SweepSpec spec;
  spec.name = "axes";
  spec.spec_blob = "blob";
  spec.groups = {At("dyck", 2, {{"size", "small"}, {"rate", "0.1"}}),
                 At("dyck", 2, {{"size", "small"}, {"rate", "3e-4"}}),
                 At("tense", 6, {{"size", "paper"}, {"rate", "3e-4"}})};
  spec.seeds = {0, 1};
  return spec;
}

TEST_F(JobFilterTest, ConditionsOnAxesSelectPoints) {
  Store(AxesSpec());
  JobFilter filter = Whole("axes");
  EXPECT_THAT(Walk(filter, 100), ElementsAre(1, 2, 3, 4, 5, 6));
  filter.where = {{"rate", {"3e-4"}}};
  EXPECT_THAT(Walk(filter, 100), ElementsAre(3, 4, 5, 6));
  filter.where = {{"rate", {"0.1", "3e-4"}}, {"size", {"small"}}, {"seed", {"1", "7"}}};
  EXPECT_THAT(Walk(filter, 100), ElementsAre(2, 4));
  filter.seeds = {0};
  EXPECT_THAT(Walk(filter, 100), ElementsAre()) << "seed 0 and 1 at once";
  filter.seeds.clear();
  filter.where = {{"task", {"tense"}}, {"depth", {"6"}}};
  EXPECT_THAT(Walk(filter, 100), ElementsAre(5, 6));
  filter.where = {{"size", {"small"}}};
  filter.depths = {6};
  EXPECT_THAT(Walk(filter, 100), ElementsAre());
}

TEST_F(JobFilterTest, ConditionsHoldForTaskAndDepthOfASweepWithoutOtherAxes) {
  Store(Spec("s", {Group("dyck", 2), Group("tense", 4)}, 2));
  JobFilter filter = Whole("s");
  filter.where = {{"depth", {"4"}}, {"seed", {"1"}}};
  EXPECT_THAT(Walk(filter, 100), ElementsAre(4));
  filter.sweep.clear();
  filter.job_ids = {1, 3, 4};
  EXPECT_THAT(Walk(filter, 100), ElementsAre(4));
}

TEST_F(JobFilterTest, AnUnknownAxisValueOrSeedIsNamedWithWhatThereIs) {
  Store(AxesSpec());
  const auto refusal = [&](const AxisCondition& condition) {
    JobFilter filter = Whole("axes");
    filter.where = {condition};
    return store_->Read([&](ReadTransaction& read) {
      return WalkJobs(read, catalog_, filter, StateSet::All(), 0, 10,
                      [](const JobRow&, const GroupInfo&) { return true; })
          .status();
    });
  };
  absl::Status status = refusal({"sise", {"small"}});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has no axis 'sise'; its axes are size, rate, seed"));
  status = refusal({"size", {"small", "big"}});
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no value 'big'; it has small, paper"));
  EXPECT_TRUE(absl::IsInvalidArgument(refusal({"seed", {"one"}})));
}

TEST_F(JobFilterTest, PointsAreOfEachJobAlsoAfterARestart) {
  ASSERT_TRUE(Submit(AxesSpec()).ok());
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    JobFilter filter = Whole("axes");
    filter.where = {{"size", {"paper"}}};
    const auto page =
        Ask<JobPage>([&](auto done) { c_->ListJobs({}, filter, 0, 10, false, done); });
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->jobs.size(), 2u);
    EXPECT_EQ(page->jobs[1].point, (Point{{"size", "paper"}, {"rate", "3e-4"}})) << restarted;
    EXPECT_EQ(page->jobs[1].task, "tense");
  }
}

// For any seeds, their order, the filter and the reads of a walk, the result equals that of a plain
// comparison.
TEST_F(JobFilterTest, ASearchFindsWhatAScanFinds) {
  const uint32_t start = 20261129;
  std::mt19937 random(start);
  SCOPED_TRACE(absl::StrCat("seed ", start));
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 40; ++round) {
    SweepSpec spec = Spec(absl::StrCat("r", round), {Group("dyck", 2), Group("tense", 6)}, 0);
    uint32_t seed = below(50);
    for (uint32_t i = 0, jobs = 20 + below(200); i < jobs; ++i) {
      spec.seeds.push_back(seed);
      seed += round % 3 == 0 ? 1 : 1 + below(4);
    }
    if (round % 4 == 3) std::shuffle(spec.seeds.begin(), spec.seeds.end(), random);
    const auto result = Submit(spec);
    ASSERT_TRUE(result.ok());
    Store(spec);  // the same sweep again
    JobFilter filter = Whole(spec.name);
    if (below(3) == 0) filter.depths = {6};
    for (uint32_t i = 0, wanted = 1 + below(8); i < wanted; ++i) {
      filter.seeds.push_back(below(seed + 10));
    }
    std::vector<JobId> expected;
    const JobId first =
        Ask<JobPage>([&](auto done) { c_->ListJobs({}, Whole(spec.name), 0, 1, false, done); })
            ->jobs[0]
            .id;
    for (size_t group = filter.depths.empty() ? 0 : 1; group < 2; ++group) {
      for (size_t i = 0; i < spec.seeds.size(); ++i) {
        const bool wanted = std::find(filter.seeds.begin(), filter.seeds.end(), spec.seeds[i]) !=
                            filter.seeds.end();
        if (wanted) expected.push_back(first + group * spec.seeds.size() + i);
      }
    }
    for (const uint64_t most : {1u, 2u, 7u, 1'000'000u}) {
      EXPECT_THAT(Walk(filter, most), ElementsAreArray(expected)) << round << " most " << most;
    }
  }
}

}  // namespace
}  // namespace coppice::core
