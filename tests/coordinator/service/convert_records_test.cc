// Records of attempts and the answers to them, between the wire and the core.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <variant>

#include "common/base/limits.h"
#include "coordinator/service/convert.h"
#include "tests/coordinator/service/records.h"

namespace coppice::service {
namespace {

using ::testing::HasSubstr;

// Decodes one record, which must be answerable.
core::Record Decode(const v1::AttemptRecord& record) {
  v1::StreamRecordsRequest message = MessageOf("w", LeaseOf(3, 2), 9, {record});
  auto records = RecordsFromProto(&message);
  EXPECT_TRUE(records.ok()) << records.status();
  return records.ok() && records->size() == 1 ? (*records)[0] : core::Record();
}
template <typename Content>
Content DecodeAs(const v1::AttemptRecord& record) {
  const core::Record decoded = Decode(record);
  const Content* content = std::get_if<Content>(&decoded.content);
  EXPECT_NE(content, nullptr) << record.ShortDebugString();
  return content == nullptr ? Content() : *content;
}
void ExpectMalformed(const v1::AttemptRecord& record, const std::string& field) {
  EXPECT_THAT(DecodeAs<core::Malformed>(record).fault, HasSubstr(field));
}

TEST(Records, ARowKeepsItsValues) {
  const core::Record record = Decode(RowRecord(100, 1.25));
  EXPECT_EQ(record.lease, (core::LeaseRef{3, 2}));
  EXPECT_EQ(record.number, 9u);
  const auto& row = std::get<core::MetricRow>(record.content);
  EXPECT_EQ(row.step, 100u);
  ASSERT_EQ(row.values.size(), 1u);
  EXPECT_EQ(row.values[0].name, "train_loss");
  EXPECT_EQ(row.values[0].value, 1.25);
}

TEST(Records, AStartALogAndACompletionKeepTheirContent) {
  v1::AttemptRecord start;
  start.mutable_start()->set_provenance("{}");
  start.mutable_start()->set_step(40);
  EXPECT_EQ(DecodeAs<core::TrainerStart>(start).provenance, "{}");
  EXPECT_EQ(DecodeAs<core::TrainerStart>(start).step, 40u);
  EXPECT_EQ(DecodeAs<core::LogText>(LogRecord("text")).text, "text");
  EXPECT_EQ(DecodeAs<core::Completion>(CompletionRecord(40)).step, 40u);
}

TEST(Records, AMessageThatCannotBeAnsweredIsRefused) {
  const auto refused = [](const std::function<void(v1::AttemptRecord*)>& change,
                          const std::string& field) {
    v1::StreamRecordsRequest message = MessageOf("w", LeaseOf(3, 2), 9, {RowRecord(1, 1)});
    change(message.mutable_records(0));
    const absl::Status status = RecordsFromProto(&message).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  };
  refused([](auto* record) { record->clear_lease(); }, "lease.job_id");
  refused([](auto* record) { record->mutable_lease()->set_attempt(UINT64_MAX); }, "lease.attempt");
  refused([](auto* record) { record->set_number(0); }, "number");
  refused([](auto* record) { record->set_number(UINT64_MAX); }, "number");
}

TEST(Records, BadContentTravelsOnToBeRefusedUnderItsNumber) {
  ExpectMalformed(v1::AttemptRecord(), "content");
  v1::StreamRecordsRequest message =
      MessageOf("w", LeaseOf(3, 2), 9, {RowRecord(10, 1), v1::AttemptRecord(), RowRecord(20, 1)});
  const auto records = RecordsFromProto(&message);
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 3u);
  EXPECT_TRUE(std::holds_alternative<core::Malformed>((*records)[1].content));
  EXPECT_EQ((*records)[1].number, 10u);
  EXPECT_TRUE(std::holds_alternative<core::MetricRow>((*records)[2].content));
}

v1::AttemptRecord Checkpoint() {
  v1::AttemptRecord record;
  v1::CheckpointRecord* checkpoint = record.mutable_checkpoint();
  checkpoint->set_step(500);
  checkpoint->set_path("s/job-3/attempt-2/step-000000500.safetensors");
  checkpoint->set_digest("0123456789abcdef0123456789abcdef");
  checkpoint->set_bytes(10);
  return record;
}

TEST(Records, ACheckpointIsChecked) {
  v1::AttemptRecord record = Checkpoint();
  record.mutable_checkpoint()->set_withdrawn("upload failed");
  const auto good = DecodeAs<core::CheckpointRecord>(record);
  EXPECT_EQ(good.step, 500u);
  EXPECT_EQ(good.path, record.checkpoint().path());
  EXPECT_EQ(good.digest, record.checkpoint().digest());
  EXPECT_EQ(good.bytes, 10u);
  EXPECT_EQ(good.left_out, "upload failed");
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/\x1b[2J"}) {
    record = Checkpoint();
    record.mutable_checkpoint()->set_path(bad);
    ExpectMalformed(record, "path");
  }
  for (const char* bad :
       {"", "0123", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdeg"}) {
    record = Checkpoint();
    record.mutable_checkpoint()->set_digest(bad);
    ExpectMalformed(record, "digest");
  }
  for (const uint64_t bad : {uint64_t{0}, UINT64_MAX}) {
    record = Checkpoint();
    record.mutable_checkpoint()->set_bytes(bad);
    ExpectMalformed(record, "bytes");
  }
}

TEST(Records, AnUploadIsCheckedAsItsRecordIs) {
  v1::CheckpointUpload upload;
  upload.set_worker_id("w");
  *upload.mutable_lease() = LeaseOf(3, 2);
  *upload.mutable_checkpoint() = Checkpoint().checkpoint();
  const auto named = UploadFromProto(upload);
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->worker_id, "w");
  EXPECT_EQ(named->lease, (core::LeaseRef{3, 2}));
  EXPECT_EQ(named->bytes, 10u);
  upload.mutable_checkpoint()->set_path("../x");
  EXPECT_TRUE(absl::IsInvalidArgument(UploadFromProto(upload).status()));
}

TEST(Records, AFailureNamesAKindThatIsKnown) {
  v1::AttemptRecord record = FailureRecord(5, "out_of_memory", "m");
  record.mutable_failed()->set_log_tail("last words");
  const auto failure = DecodeAs<core::Failure>(record);
  EXPECT_EQ(failure.step, 5u);
  EXPECT_EQ(failure.kind, FailureKind::kOutOfMemory);
  EXPECT_EQ(failure.message, "m");
  EXPECT_EQ(failure.log_tail, "last words");
  ExpectMalformed(FailureRecord(5, "", "m"), "kind");
  ExpectMalformed(FailureRecord(5, "bad luck", "m"), "kind");
  ExpectMalformed(FailureRecord(5, "nan", std::string(kMaxMessageTextBytes + 1, 'x')), "message");
  record.mutable_failed()->set_log_tail(std::string(kMaxLogTailBytes + 1, 'x'));
  ExpectMalformed(record, "log_tail");
}

TEST(Records, AReleaseHasOneCause) {
  const auto cause = [](const std::function<void(v1::Release*)>& set) {
    v1::AttemptRecord record;
    record.mutable_released()->set_step(20);
    record.mutable_released()->set_reason("r");
    set(record.mutable_released());
    return record;
  };
  using core::Release;
  const auto preempted = cause([](auto* release) { release->mutable_preempted(); });
  EXPECT_EQ(DecodeAs<Release>(preempted).step, 20u);
  EXPECT_EQ(DecodeAs<Release>(preempted).reason, "r");
  EXPECT_TRUE(std::holds_alternative<Release::Preempted>(DecodeAs<Release>(preempted).cause));
  const auto untrained = cause([](auto* release) { release->mutable_untrained(); });
  EXPECT_TRUE(std::holds_alternative<Release::Untrained>(DecodeAs<Release>(untrained).cause));
  const auto lost = cause([](auto* release) { release->mutable_lost(); });
  EXPECT_TRUE(std::holds_alternative<Release::Lost>(DecodeAs<Release>(lost).cause));
  const auto wide = [&](uint32_t width) {
    return cause([&](auto* release) { release->mutable_too_wide()->set_width(width); });
  };
  EXPECT_EQ(std::get<Release::TooWide>(DecodeAs<Release>(wide(8)).cause).width, 8u);
  ExpectMalformed(wide(0), "width");
  ExpectMalformed(wide(kMaxPackWidth + 1), "width");
  const auto measured = [&](uint32_t width) {
    return cause([&](auto* release) { release->mutable_measured()->set_width(width); });
  };
  EXPECT_EQ(std::get<Release::Measured>(DecodeAs<Release>(measured(4)).cause).width, 4u);
  ExpectMalformed(measured(0), "width");
  ExpectMalformed(cause([](auto*) {}), "cause");
}

TEST(Records, AnAnswerKeepsItsRefusalAndItsOmissions) {
  core::AttemptAnswer answer{{3, 2}, 7};
  answer.over = true;
  v1::AttemptAnswer plain;
  ToProto(answer, &plain);
  EXPECT_EQ(plain.lease().job_id(), 3u);
  EXPECT_EQ(plain.lease().attempt(), 2u);
  EXPECT_EQ(plain.number(), 7u);
  EXPECT_TRUE(plain.over());
  EXPECT_FALSE(plain.has_refusal());
  answer.refusal = absl::FailedPreconditionError("no checkpoint");
  answer.omissions = {{5, "no file"}};
  v1::AttemptAnswer full;
  ToProto(answer, &full);
  EXPECT_EQ(full.refusal().code(), 9u) << "FAILED_PRECONDITION";
  EXPECT_EQ(full.refusal().message(), "no checkpoint");
  ASSERT_EQ(full.omissions_size(), 1);
  EXPECT_EQ(full.omissions(0).number(), 5u);
  EXPECT_EQ(full.omissions(0).reason(), "no file");
}

}  // namespace
}  // namespace coppice::service
