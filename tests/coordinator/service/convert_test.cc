#include "coordinator/service/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
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
  EXPECT_EQ(out.groups[0].checkpoint_every, 15000u);
  EXPECT_EQ(out.groups[0].keep, 2u);
  const v1::RunConfig run = spec::RunConfigFromJson(out.groups[1].run_json).value();
  EXPECT_EQ(run.train().steps(), 2000u);
  v1::SweepSpec again;
  ASSERT_TRUE(again.ParseFromString(out.spec_blob));
  EXPECT_EQ(again.SerializeAsString(), spec.SerializeAsString());
  EXPECT_EQ(SweepSpecFromProto(spec).value().spec_blob, out.spec_blob);
}

TEST(SweepSpec, AnInvalidOneIsRefusedWithEveryProblem) {
  v1::SweepSpec spec = SmallSpec();
  spec.set_name("no spaces");
  spec.mutable_depths()->Set(0, 0);
  const absl::Status status = SweepSpecFromProto(spec).status();
  ExpectRefused(status, "name");
  ExpectRefused(status, "depths[0]");
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

TEST(Register, AnotherProtocolIsAFailedPreconditionThatNamesBoth) {
  v1::RegisterRequest in;
  in.set_protocol(rpc::kProtocolVersion + 1);
  in.set_version("9.9.9");
  const absl::Status status = RegisterFromProto(in).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(std::to_string(rpc::kProtocolVersion + 1)));
  EXPECT_THAT(message, HasSubstr("9.9.9"));
  EXPECT_THAT(message, HasSubstr(VersionText()));
}

TEST(Register, BoundsAreChecked) {
  v1::RegisterRequest in;
  in.set_protocol(rpc::kProtocolVersion);
  ExpectRefused(RegisterFromProto(in).status(), "name");
  in.set_name("node\n1");
  ExpectRefused(RegisterFromProto(in).status(), "name");
  in.set_name("node1");
  ExpectRefused(RegisterFromProto(in).status(), "instance");
  in.set_instance("i");
  ExpectRefused(RegisterFromProto(in).status(), "slots");
  in.set_slots(1);
  ExpectRefused(RegisterFromProto(in).status(), "pack_width");
  in.set_pack_width(kMaxPackWidth + 1);
  ExpectRefused(RegisterFromProto(in).status(), "pack_width");
  in.set_pack_width(2);
  EXPECT_TRUE(RegisterFromProto(in).ok());
  v1::HeldLease* held = in.add_held();
  ExpectRefused(RegisterFromProto(in).status(), "lease.job_id");
  held->mutable_lease()->set_job_id(1);
  ExpectRefused(RegisterFromProto(in).status(), "lease.attempt");
  held->mutable_lease()->set_attempt(1);
  held->set_steps_per_second(std::nan(""));
  ExpectRefused(RegisterFromProto(in).status(), "steps_per_second");
  held->set_steps_per_second(-1);
  ExpectRefused(RegisterFromProto(in).status(), "steps_per_second");
  held->set_steps_per_second(1e308);
  EXPECT_EQ(RegisterFromProto(in).value().held[0].steps_per_second, kMaxStepsPerSecond)
      << "sums of rates stay numbers";
  held->set_steps_per_second(2.5);
  EXPECT_EQ(RegisterFromProto(in).value().held[0].steps_per_second, 2.5);
  in.set_ends_ms(-1);
  ExpectRefused(RegisterFromProto(in).status(), "ends_ms");
  in.set_ends_ms(1'750'000'000'000);
  EXPECT_EQ(RegisterFromProto(in).value().info.ends_ms, 1'750'000'000'000);
}

TEST(Register, ATextThatDrivesATerminalIsRefusedAndNamed) {
  v1::RegisterRequest good;
  good.set_protocol(rpc::kProtocolVersion);
  good.set_name("node1");
  good.set_instance("i");
  good.set_host("höst");
  good.set_version("0.1.0 (0123456789ab)");
  good.set_device("NVIDIA H200 (132 SMs)");
  good.set_slots(1);
  good.set_pack_width(1);
  ASSERT_TRUE(RegisterFromProto(good).ok());
  for (const char* bad : {"\x1b]0;title\x07", "a\nb", "a\tb",
                          "\xC2\x9B"
                          "2J",
                          "\u202E", "\x7f", "\xFF"}) {
    for (const char* field : {"name", "instance", "host", "version", "device"}) {
      v1::RegisterRequest in = good;
      in.GetReflection()->SetString(&in, in.GetDescriptor()->FindFieldByName(field), bad);
      ExpectRefused(RegisterFromProto(in).status(), field);
    }
  }
}

TEST(Commit, APathThatDrivesATerminalIsRefused) {
  v1::RejectCheckpointRequest in;
  in.set_worker_id("w");
  in.mutable_lease()->set_job_id(1);
  in.mutable_lease()->set_attempt(1);
  in.set_path("1/1/step-000000150.safetensors");
  EXPECT_TRUE(CheckpointFromProto(in).ok());
  for (const char* bad : {"1/1/\x1b[2J",
                          "1/\xC2\x9D"
                          "0;t/x",
                          "1/1/\u202Exyz"}) {
    in.set_path(bad);
    ExpectRefused(CheckpointFromProto(in).status(), "path");
  }
}

TEST(Release, WhatItSaysAboutItsCauseIsCheckedAndPassedOn) {
  v1::ReleaseLeaseRequest in;
  in.set_worker_id("w");
  in.mutable_lease()->set_job_id(1);
  in.mutable_lease()->set_attempt(1);
  EXPECT_FALSE(EndFromProto(in).value().lost);
  in.set_lost(true);
  EXPECT_TRUE(EndFromProto(in).value().lost);
  in.set_out_of_memory_width(8);
  ExpectRefused(EndFromProto(in).status(), "out_of_memory_width");
  in.set_lost(false);
  EXPECT_EQ(EndFromProto(in).value().out_of_memory_width, 8u);
  in.set_best_width(4);
  ExpectRefused(EndFromProto(in).status(), "best_width");
  in.set_out_of_memory_width(kMaxPackWidth + 1);
  ExpectRefused(EndFromProto(in).status(), "out_of_memory_width");
  in.set_out_of_memory_width(0);
  EXPECT_EQ(EndFromProto(in).value().best_width, 4u);
  EXPECT_FALSE(EndFromProto(in).value().untrained);
  in.set_untrained(true);
  EXPECT_TRUE(EndFromProto(in).value().untrained);
  in.set_best_width(kMaxPackWidth + 1);
  ExpectRefused(EndFromProto(in).status(), "best_width");
}

TEST(Acquire, TheWaitIsCappedAndTheRestChecked) {
  v1::AcquireLeasesRequest in;
  ExpectRefused(AcquireFromProto(in).status(), "worker_id");
  in.set_worker_id("w");
  ExpectRefused(AcquireFromProto(in).status(), "request_id");
  in.set_request_id("r");
  ExpectRefused(AcquireFromProto(in).status(), "pack_width");
  in.set_pack_width(1);
  in.set_wait_ms(4'000'000'000u);
  EXPECT_EQ(AcquireFromProto(in).value().wait_ms, kMaxWaitMs);
  EXPECT_FALSE(AcquireFromProto(in).value().measures);
  in.set_measures(true);
  EXPECT_TRUE(AcquireFromProto(in).value().measures);
  in.set_slot(kMaxSlots);
  ExpectRefused(AcquireFromProto(in).status(), "slot");
}

v1::StreamMetricsRequest Row(double value) {
  v1::StreamMetricsRequest in;
  in.mutable_lease()->set_job_id(3);
  in.mutable_lease()->set_attempt(2);
  in.set_sequence(9);
  in.mutable_row()->set_step(100);
  v1::MetricValue* metric = in.mutable_row()->add_values();
  metric->set_name("train_loss");
  metric->set_value(value);
  return in;
}

TEST(Record, ARowKeepsItsValues) {
  v1::StreamMetricsRequest in = Row(1.25);
  const core::Record record = RecordFromProto(&in).value();
  EXPECT_EQ(record.lease, (core::LeaseRef{3, 2}));
  EXPECT_EQ(record.sequence, 9u);
  ASSERT_TRUE(record.row.has_value());
  EXPECT_EQ(record.row->step, 100u);
  EXPECT_EQ(record.row->values[0].name, "train_loss");
  EXPECT_EQ(record.row->values[0].value, 1.25);
  EXPECT_FALSE(record.log.has_value());
}

TEST(Record, AStartSaysWhere) {
  v1::StreamMetricsRequest in = Row(1);
  in.set_provenance("{}");
  EXPECT_FALSE(RecordFromProto(&in)->start_step.has_value());  // from an older worker
  in.set_provenance("{}");
  in.set_start_step(0);
  EXPECT_EQ(RecordFromProto(&in)->start_step, 0u);
}

TEST(Record, WhatCannotBeAcknowledgedIsRefused) {
  v1::StreamMetricsRequest no_lease = Row(1);
  no_lease.clear_lease();
  ExpectRefused(RecordFromProto(&no_lease).status(), "lease.job_id");
  v1::StreamMetricsRequest no_number = Row(1);
  no_number.set_sequence(0);
  ExpectRefused(RecordFromProto(&no_number).status(), "sequence");
  v1::StreamMetricsRequest no_payload = Row(1);
  no_payload.clear_row();
  ExpectRefused(RecordFromProto(&no_payload).status(), "payload");
}

v1::CommitCheckpointRequest Commit() {
  v1::CommitCheckpointRequest in;
  in.set_worker_id("w");
  in.mutable_lease()->set_job_id(3);
  in.mutable_lease()->set_attempt(2);
  in.set_step(500);
  in.set_path("s/job-3/attempt-2/step-000000500.safetensors");
  in.set_digest("0123456789abcdef0123456789abcdef");
  in.set_bytes(10);
  return in;
}

TEST(Checkpoint, APathThatLeavesTheRootIsRefused) {
  EXPECT_TRUE(CommitFromProto(Commit()).ok());
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "./a"}) {
    v1::CommitCheckpointRequest in = Commit();
    in.set_path(bad);
    ExpectRefused(CommitFromProto(in).status(), "path");
    v1::DownloadCheckpointRequest download;
    download.set_worker_id("w");
    *download.mutable_lease() = in.lease();
    download.set_path(bad);
    ExpectRefused(CheckpointFromProto(download).status(), "path");
  }
}

TEST(Checkpoint, ADigestIs32LowerCaseHexDigits) {
  for (const char* bad :
       {"", "0123", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdeg"}) {
    v1::CommitCheckpointRequest in = Commit();
    in.set_digest(bad);
    ExpectRefused(CommitFromProto(in).status(), "digest");
  }
  v1::CommitCheckpointRequest in = Commit();
  in.set_bytes(0);
  ExpectRefused(CommitFromProto(in).status(), "bytes");
}

TEST(AttemptEnd, TextsAreBounded) {
  v1::FailJobRequest in;
  in.set_worker_id("w");
  in.mutable_lease()->set_job_id(3);
  in.mutable_lease()->set_attempt(2);
  ExpectRefused(EndFromProto(in).status(), "kind");
  in.set_kind("nan");
  in.set_message("loss is not finite");
  in.set_log_tail("last words");
  const core::AttemptEnd end = EndFromProto(in).value();
  EXPECT_EQ(end.kind, "nan");
  EXPECT_EQ(end.message, "loss is not finite");
  EXPECT_EQ(end.log_tail, "last words");
  in.set_log_tail(std::string(kMaxLogTailBytes + 1, 'x'));
  ExpectRefused(EndFromProto(in).status(), "log_tail");
  in.clear_log_tail();
  in.set_message(std::string(kMaxMessageTextBytes + 1, 'x'));
  ExpectRefused(EndFromProto(in).status(), "message");
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
    details.events.push_back({i, 1, "failed", std::string(4000, 'm')});
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
  EXPECT_TRUE(absl::IsInternal(ToProto(sweep, &response)));
}

TEST(Numbers, ThatNoWorkerCanMeanAreRefusedAsSuch) {
  v1::StreamMetricsRequest record;
  record.mutable_lease()->set_job_id(1);
  record.mutable_lease()->set_attempt(1);
  record.set_log("x");
  record.set_sequence(UINT64_MAX);
  ExpectRefused(RecordFromProto(&record).status(), "sequence");
  record.set_sequence(1);
  record.mutable_lease()->set_attempt(UINT64_MAX);
  ExpectRefused(RecordFromProto(&record).status(), "lease.attempt");
  v1::CommitCheckpointRequest commit;
  commit.set_worker_id("w");
  commit.mutable_lease()->set_job_id(1);
  commit.mutable_lease()->set_attempt(1);
  commit.set_path("s/1");
  commit.set_digest(std::string(32, 'a'));
  commit.set_bytes(UINT64_MAX);
  ExpectRefused(CommitFromProto(commit).status(), "bytes");
  commit.set_bytes(1);
  commit.set_last_sequence(UINT64_MAX);
  ExpectRefused(CommitFromProto(commit).status(), "last_sequence");
  v1::CompleteJobRequest complete;
  complete.set_worker_id("w");
  *complete.mutable_lease() = commit.lease();
  complete.set_last_sequence(UINT64_MAX);
  ExpectRefused(EndFromProto(complete).status(), "last_sequence");
  ExpectRefused(JobIdFromProto(UINT64_MAX).status(), "job_id");
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
    ToProto(workers, WorkerTokenFromProto(token).value(), &out);
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
    ToProto(sweeps, SweepTokenFromProto(token).value(), &out);
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
