// Requests of workers: values that they may carry, and values that are refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "common/base/build_info.h"
#include "common/rpc/channel.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;

void ExpectRefused(const absl::Status& status, const std::string& field) {
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(field));
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

}  // namespace
}  // namespace coppice::service
