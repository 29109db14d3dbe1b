#include "coordinator/service/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/rpc/channel.h"
#include "common/spec/spec.h"

namespace coppice::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::SweepSpec SmallSpec() {
  v1::SweepSpec spec;
  spec.set_name("small");
  spec.add_tasks("question");
  spec.add_tasks("dyck");
  spec.add_depths(2);
  spec.add_depths(4);
  for (int seed = 0; seed < 3; ++seed) spec.add_seeds(seed);
  spec.mutable_train()->set_steps(1000);
  spec.set_priority(7);
  return spec;
}

void ExpectRefused(const absl::Status& status, const std::string& field) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(field));
}

TEST(SweepSpec, EachGridPointBecomesAGroupWithItsResolvedSettings) {
  v1::SweepSpec spec = SmallSpec();
  v1::Override* deep = spec.add_overrides();
  deep->mutable_where()->add_depth(4);
  deep->mutable_train()->set_steps(2000);
  spec.mutable_report()->mutable_probes()->set_sentences(4);
  spec.mutable_report()->mutable_probes()->set_every(2);
  const core::SweepSpec out = SweepSpecFromProto(spec).value();
  EXPECT_EQ(out.name, "small");
  EXPECT_EQ(out.priority, 7);
  EXPECT_EQ(out.max_failures, 3u);
  EXPECT_THAT(out.seeds, ElementsAre(0, 1, 2));
  ASSERT_EQ(out.groups.size(), 4u);
  EXPECT_EQ(out.groups[0].task, "question");
  EXPECT_EQ(out.groups[0].depth, 2u);
  EXPECT_EQ(out.groups[0].steps, 1000u);
  EXPECT_EQ(out.groups[1].depth, 4u);
  EXPECT_EQ(out.groups[1].steps, 2000u);
  EXPECT_EQ(out.groups[3].task, "dyck");
  EXPECT_GT(out.groups[1].work_per_step, out.groups[0].work_per_step);
  EXPECT_EQ(out.groups[0].report_every, 3000u);
  EXPECT_EQ(out.groups[0].common_row_every, 6000u);
  EXPECT_EQ(out.groups[0].checkpoint_every, 15000u);
  EXPECT_EQ(out.groups[0].keep, 2u);
  const v1::RunConfig run = spec::RunConfigFromJson(out.groups[1].run_json).value();
  EXPECT_EQ(run.train().steps(), 2000u);
  v1::SweepSpec again;
  ASSERT_TRUE(again.ParseFromString(out.spec_blob));
  EXPECT_EQ(again.SerializeAsString(), spec.SerializeAsString());
  EXPECT_EQ(SweepSpecFromProto(spec).value().spec_blob, out.spec_blob);
}

TEST(SweepSpec, PointsOnOtherAxesBecomeGroupsOfTheirCoordinates) {
  v1::SweepSpec spec = SmallSpec();
  spec.clear_tasks();
  spec.clear_depths();
  v1::Axis* size = spec.add_axes();
  size->set_name("size");
  for (const uint32_t depth : {2u, 4u}) {
    v1::AxisValue* value = size->add_values();
    value->set_name(absl::StrCat("d", depth));
    value->mutable_settings()->set_task("dyck");
    value->mutable_settings()->set_depth(depth);
  }
  const absl::StatusOr<core::SweepSpec> out = SweepSpecFromProto(spec);
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_EQ(out->groups.size(), 2u);
  EXPECT_EQ(out->groups[1].point, (core::Point{{"size", "d4"}}));
  EXPECT_EQ(out->groups[1].task, "dyck");
  EXPECT_EQ(out->groups[1].depth, 4u);
  core::GroupSummary summary;
  summary.spec = out->groups[1];
  v1::GroupSummary group;
  ASSERT_TRUE(ToProto(summary, &group).ok());
  ASSERT_EQ(group.point_size(), 1);
  EXPECT_EQ(group.point(0).axis(), "size");
  EXPECT_EQ(group.point(0).value(), "d4");
}

TEST(SweepSpec, AnInvalidOneIsRefusedWithEveryProblem) {
  v1::SweepSpec spec = SmallSpec();
  spec.set_name("no spaces");
  spec.mutable_depths()->Set(0, 0);
  const absl::Status status = SweepSpecFromProto(spec).status();
  ExpectRefused(status, "name");
  ExpectRefused(status, "depths[0]");
}

TEST(SweepSpec, TagsAreNoPartOfWhatTheSweepIs) {
  v1::SweepSpec tagged = SmallSpec();
  for (const char* tag : {"paper", "draft-2", "a"}) tagged.add_tags(tag);
  const core::SweepSpec out = SweepSpecFromProto(tagged).value();
  EXPECT_THAT(out.tags, ElementsAre("a", "draft-2", "paper"));
  EXPECT_EQ(out.spec_blob, SweepSpecFromProto(SmallSpec()).value().spec_blob);
}

TEST(Annotation, TagsAndNotesAreChecked) {
  v1::AnnotateSweepRequest request;
  request.set_name("s");
  request.add_add_tags("b");
  request.add_add_tags("a");
  request.add_remove_tags("c");
  request.set_note("two\nlines");
  const core::Annotation out = AnnotationFromProto(request).value();
  EXPECT_THAT(out.add_tags, ElementsAre("a", "b"));
  EXPECT_THAT(out.remove_tags, ElementsAre("c"));
  EXPECT_EQ(out.note, "two\nlines");
  const auto refused = [&](const std::string& field, auto change) {
    v1::AnnotateSweepRequest other = request;
    change(other);
    ExpectRefused(AnnotationFromProto(other).status(), field);
  };
  for (const std::string& tag : {std::string(), std::string("-a"), std::string("a b"),
                                 std::string(51, 'a'), std::string("a\nb")}) {
    refused("add_tags", [&](auto& r) { r.add_add_tags(tag); });
    refused("remove_tags", [&](auto& r) { r.add_remove_tags(tag); });
  }
  refused("add_tags", [](auto& r) { r.add_add_tags("c"); });
  refused("note", [](auto& r) { r.set_note(std::string(4001, 'a')); });
  refused("note", [](auto& r) { r.set_note("a\x1b[2J"); });
  refused("note", [](auto& r) { r.set_note("a\tb"); });
  refused("name", [](auto& r) { r.clear_name(); });
  request.clear_note();
  EXPECT_FALSE(AnnotationFromProto(request)->note.has_value());
  std::string wide;
  for (int i = 0; i < 4000; ++i) wide += "\xC3\xA4";
  request.set_note(wide);
  EXPECT_TRUE(AnnotationFromProto(request).ok()) << "characters count, not bytes";
}

TEST(Filter, CarriesEveryList) {
  v1::JobFilter in;
  in.set_sweep("s");
  in.add_job_ids(5);
  in.add_tasks("dyck");
  in.add_depths(6);
  in.add_seeds(0);
  in.add_states(v1::FAILED);
  const core::JobFilter out = FilterFromProto(in).value();
  EXPECT_EQ(out.sweep, "s");
  EXPECT_THAT(out.job_ids, ElementsAre(5));
  EXPECT_THAT(out.tasks, ElementsAre("dyck"));
  EXPECT_THAT(out.depths, ElementsAre(6));
  EXPECT_THAT(out.seeds, ElementsAre(0));
  EXPECT_THAT(out.states, ElementsAre(core::JobState::kFailed));
}

TEST(Filter, OneThatWouldTouchEverySweepIsRefused) {
  ExpectRefused(FilterFromProto({}).status(), "filter.sweep");
  v1::JobFilter tasks_only;
  tasks_only.add_tasks("dyck");
  ExpectRefused(FilterFromProto(tasks_only).status(), "filter.sweep");
  v1::JobFilter by_id;
  by_id.add_job_ids(1);
  EXPECT_TRUE(FilterFromProto(by_id).ok());
}

TEST(Filter, BoundsAndEnumsAreChecked) {
  v1::JobFilter in;
  in.set_sweep("s");
  in.add_states(v1::JOB_STATE_UNSPECIFIED);
  ExpectRefused(FilterFromProto(in).status(), "filter.states");
  in.set_states(0, static_cast<v1::JobState>(77));
  ExpectRefused(FilterFromProto(in).status(), "filter.states");
  in.clear_states();
  in.add_job_ids(0);
  ExpectRefused(FilterFromProto(in).status(), "job_id");
  in.mutable_job_ids()->Resize(kMaxFilterEntries + 1, 1);
  ExpectRefused(FilterFromProto(in).status(), "filter.job_ids");
  in.clear_job_ids();
  in.set_sweep(std::string(kMaxNameBytes + 1, 'x'));
  ExpectRefused(FilterFromProto(in).status(), "filter.sweep");
}

TEST(Filter, ConditionsOnAxesAreBounded) {
  v1::JobFilter filter;
  filter.set_sweep("s");
  v1::AxisCondition* where = filter.add_where();
  where->set_axis("size");
  ExpectRefused(FilterFromProto(filter).status(), "filter.where.values");
  where->add_values("small");
  const core::JobFilter out = FilterFromProto(filter).value();
  ASSERT_EQ(out.where.size(), 1u);
  EXPECT_EQ(out.where[0].axis, "size");
  EXPECT_THAT(out.where[0].values, ElementsAre("small"));
  where->add_values("x\033[31m");
  ExpectRefused(FilterFromProto(filter).status(), "filter.where.values");
  where->mutable_values()->RemoveLast();
  for (int i = 0; i < 64; ++i) *filter.add_where() = *where;
  ExpectRefused(FilterFromProto(filter).status(), "filter.where");
}

TEST(Page, DefaultsAndBounds) {
  v1::ListJobsRequest in;
  in.mutable_filter()->set_sweep("s");
  EXPECT_EQ(PageFromProto(in).value().limit, 1000u);
  EXPECT_EQ(PageFromProto(in).value().after, 0u);
  in.set_page_size(10'000);
  in.set_page_token("41");
  EXPECT_EQ(PageFromProto(in).value().limit, 10'000u);
  EXPECT_EQ(PageFromProto(in).value().after, 41u);
  in.set_page_size(10'001);
  ExpectRefused(PageFromProto(in).status(), "page_size");
  in.set_page_size(1);
  for (const char* bad : {"x", "-1", "1.5", "99999999999999999999999"}) {
    in.set_page_token(bad);
    ExpectRefused(PageFromProto(in).status(), "page_token");
  }
}

TEST(JobPage, EndsBeforeTheMessageLimitAndGoesOnFromThere) {
  core::JobPage page;
  for (core::JobId id = 1; id <= 1000; ++id) {
    core::Job job;
    job.id = id;
    job.reason = std::string(20'000, 'r');
    page.jobs.push_back(job);
  }
  v1::ListJobsResponse out;
  ToProto(page, &out);
  EXPECT_LT(out.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
  ASSERT_LT(out.jobs_size(), 1000);
  EXPECT_EQ(out.next_page_token(), std::to_string(out.jobs(out.jobs_size() - 1).id()));

  page.jobs.resize(10);
  page.next_after = 10;
  v1::ListJobsResponse short_page;
  ToProto(page, &short_page);
  EXPECT_EQ(short_page.jobs_size(), 10);
  EXPECT_EQ(short_page.next_page_token(), "10");
}

TEST(JobDetails, KeepTheNewestWhenThereIsTooMuch) {
  core::JobDetails details;
  details.run_json = SweepSpecFromProto(SmallSpec()).value().groups[0].run_json;
  for (int i = 0; i < 5000; ++i) {
    details.events.push_back({i, 1, core::EventType::kFailed, std::string(4000, 'm')});
    details.attempts.push_back({});
    details.attempts.back().number = i + 1;
    details.attempts.back().message = std::string(4000, 'm');
  }
  v1::GetJobResponse out;
  ASSERT_TRUE(ToProto(details, &out).ok());
  EXPECT_LT(out.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
  ASSERT_GT(out.events_size(), 100);
  EXPECT_EQ(out.events(out.events_size() - 1).time_ms(), 4999);
  EXPECT_EQ(out.attempts(out.attempts_size() - 1).number(), 5000u);
}

TEST(StoredText, ThatCannotBeReadBackIsAnInternalError) {
  core::JobDetails details;
  details.run_json = "{";
  v1::GetJobResponse job;
  EXPECT_TRUE(absl::IsInternal(ToProto(details, &job)));
  core::SweepDetails sweep;
  sweep.spec_blob = "\xff\xff\xff";
  v1::GetSweepResponse response;
  EXPECT_TRUE(absl::IsInternal(ToProto(sweep, /*without_runs=*/false, &response)));
}

TEST(Answers, ListsOfAnySizeComeInPagesThatFitIntoAMessage) {
  std::vector<core::Worker> workers(12'000);
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].info.name = absl::StrCat(std::string(180, 'w'), 100'000 + i);
    workers[i].info.device = std::string(kMaxDeviceBytes, 'd');
    workers[i].info.host = std::string(kMaxHostBytes, 'h');
  }
  size_t seen = 0;
  std::string token;
  int pages = 0;
  do {
    v1::ListWorkersResponse out;
    ToProto(workers, WorkerTokenFromProto(token).value(), /*all=*/false, &out);
    EXPECT_LT(out.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
    for (const v1::Worker& worker : out.workers())
      EXPECT_EQ(worker.name(), workers[seen++].info.name);
    token = out.next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(seen, workers.size());
  EXPECT_GT(pages, 1);

  std::vector<core::SweepSummary> sweeps(100'000);
  for (size_t i = 0; i < sweeps.size(); ++i) {
    sweeps[i].id = i + 1;
    sweeps[i].name = absl::StrCat(std::string(90, 's'), i);
  }
  seen = 0;
  do {
    v1::ListSweepsResponse out;
    ToProto(sweeps, {}, SweepTokenFromProto(token).value(), &out);
    EXPECT_LT(out.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
    for (const v1::SweepSummary& sweep : out.sweeps()) EXPECT_EQ(sweep.id(), ++seen);
    token = out.next_page_token();
  } while (!token.empty());
  EXPECT_EQ(seen, sweeps.size());
  ExpectRefused(SweepTokenFromProto("x").status(), "page_token");
}

TEST(Answers, AJobThatKeepsEveryCheckpointIsToldWithTheNewest) {
  core::JobDetails details;
  details.run_json = spec::RunConfigToJson(spec::ResolveRun(SmallSpec(), "question", 2));
  for (uint32_t step = 100'000; step > 0; --step) {
    details.checkpoints.push_back({1, 1, step, std::string(1000, 'p'), "", 1, 1});
  }
  v1::GetJobResponse out;
  ASSERT_TRUE(ToProto(details, &out).ok());
  EXPECT_LT(out.ByteSizeLong(), static_cast<size_t>(rpc::kMaxMessageBytes));
  ASSERT_GT(out.checkpoints_size(), 1000);
  EXPECT_EQ(out.checkpoints(0).step(), 100'000u);
}

}  // namespace
}  // namespace coppice::service
