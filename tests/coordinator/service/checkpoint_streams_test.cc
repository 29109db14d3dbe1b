// Tests of checkpoints through real stubs: uploads and downloads of workers. A mock core decides
// which checkpoint is current.
#include "coordinator/service/checkpoint_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/synchronization/notification.h"
#include "common/base/files.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/checkpoints_fixture.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Checkpoints, AnUploadStoresItsBytesAndCommitsNothing) {
  AllowLease();
  EXPECT_CALL(core_, Append).Times(0);
  const std::string content(5'000'000, 'c');
  EXPECT_EQ(Upload(Header(content), content), absl::OkStatus());
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, WhatIsNotAsAnnouncedLeavesNoFile) {
  AllowLease();
  const std::string content(1000, 'c');
  v1::UploadCheckpointRequest header = Header(content);
  std::string flipped = content;
  flipped[500] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(Upload(header, flipped)));
  EXPECT_TRUE(absl::IsDataLoss(Upload(header, content.substr(1))));
  EXPECT_TRUE(absl::IsDataLoss(Upload(header, content + "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, std::string(2 << 20, 'c'), 2 << 20)));
  for (const char* path : {"../escape", "/tmp/escape", "a/../../escape", ""}) {
    header.mutable_header()->mutable_checkpoint()->set_path(path);
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content))) << path;
  }
  header = Header(content);
  header.mutable_header()->mutable_checkpoint()->set_bytes(kMaxCheckpointBytes + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, ARefusedUploadLeavesNoFoldersBehind) {
  AllowLease();
  const std::string content(1000, 'c');
  const auto root_is_empty = [&] { return std::filesystem::is_empty(dir_.path()); };
  v1::UploadCheckpointRequest header = Header(content);
  EXPECT_TRUE(absl::IsDataLoss(Upload(header, content.substr(1))));
  EXPECT_TRUE(root_is_empty());
  // Folders that existed before or are not empty stay.
  ASSERT_TRUE(MakeDirectories(dir_.Join("s/job-1")).ok());
  EXPECT_TRUE(absl::IsDataLoss(Upload(header, content.substr(1))));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.Join("s/job-1")));
}

TEST_F(Checkpoints, AnUploadWithoutAHeaderOrWithTwoIsRefused) {
  AllowLease();
  const std::string content(10, 'c');
  v1::UploadCheckpointRequest data;
  data.set_data(content);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(data, "")));
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  writer->Write(Header(content));
  writer->Write(Header(content));
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  CallContext empty;
  auto nothing = served_.workers->UploadCheckpoint(&empty, &response);
  nothing->WritesDone();
  EXPECT_EQ(nothing->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AStaleLeaseIsRefusedBeforeTheFirstByte) {
  EXPECT_CALL(core_, CheckLease("w", core::LeaseRef{1, 1}, _)).WillOnce([](auto, auto, auto done) {
    done(absl::AbortedError("stale"));
  });
  const std::string content(1000, 'c');
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AResentUploadKeepsTheFileThatMayBeCommitted) {
  AllowLease();
  const std::string content(1000, 'c');
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, ACommittedCheckpointIsNeverOverwrittenByAnother) {
  AllowLease();
  const std::string content(1000, 'c'), other(1000, 'd');
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_CALL(core_, GetJob(1, _)).WillOnce([&](auto, auto done) {
    done(JobWith(Header(content)));
  });
  EXPECT_TRUE(absl::IsAlreadyExists(Upload(Header(other), other)));
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

// A regression test: a file was truncated between its commit and the repetition after a lost
// response.
TEST_F(Checkpoints, ADamagedFileIsMendedByTheUploadThatComesAgain) {
  AllowLease();
  const std::string content(1000, 'c');
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_CALL(core_, GetJob(1, _)).WillOnce([&](auto, auto done) {
    done(JobWith(Header(content)));
  });
  std::filesystem::resize_file(dir_.Join(kPath), 300);
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, ACancelledUploadLeavesNoFile) {
  AllowLease();
  const std::string content(1000, 'c');
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  ASSERT_TRUE(writer->Write(Header(content)));
  v1::UploadCheckpointRequest part;
  part.set_data(content.substr(0, 500));
  ASSERT_TRUE(writer->Write(part));
  context.TryCancel();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  served_.server.reset();  // waits until the call is gone on this side too
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AnUploadThatTakesForEverIsGivenUp) {
  absl::Notification begun;
  ON_CALL(core_, CheckLease).WillByDefault([&](auto, auto, auto done) {
    done(absl::OkStatus());
    begun.Notify();
  });
  const std::string content(1000, 'c');
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto writer = served_.workers->UploadCheckpoint(&context, &response);
  ASSERT_TRUE(writer->Write(Header(content)));
  ASSERT_TRUE(begun.WaitForNotificationWithTimeout(kPatience));
  clock_.Advance(kTransferLimit);
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(clock_.pending_timers(), 0u);
}

v1::DownloadCheckpointRequest Download(const std::string& path) {
  v1::DownloadCheckpointRequest request;
  request.set_worker_id("w");
  request.mutable_lease()->set_job_id(1);
  request.mutable_lease()->set_attempt(2);
  request.set_step(10);
  request.set_path(path);
  return request;
}

TEST_F(Checkpoints, ADownloadReturnsTheBytesOfThisJobsCheckpointsOnly) {
  AllowLease();
  ON_CALL(core_, GetJob(1, _)).WillByDefault([](auto, auto done) {
    core::JobDetails details;
    details.checkpoints.push_back({1, 1, 10, kPath, "", 0, 0});
    details.checkpoints.push_back({1, 1, 5, "s/job-1/gone", "", 0, 0});
    done(details);
  });
  std::string content;
  for (int i = 0; i < 3'000'000; ++i) content.push_back(static_cast<char>(i * 7));
  ASSERT_TRUE(MakeDirectories(dir_.Join("s/job-1/attempt-1")).ok());
  ASSERT_TRUE(WriteFileAtomically(dir_.Join(kPath), content).ok());
  ASSERT_TRUE(WriteFileAtomically(dir_.Join("secret"), "other").ok());
  const auto download = [&](const std::string& path, std::string* out) {
    CallContext context;
    auto reader = served_.workers->DownloadCheckpoint(&context, Download(path));
    v1::DownloadCheckpointResponse part;
    while (reader->Read(&part)) *out += part.data();
    return rpc::FromGrpc(reader->Finish());
  };
  std::string received, nothing;
  EXPECT_EQ(download(kPath, &received), absl::OkStatus());
  EXPECT_EQ(received, content);
  EXPECT_TRUE(absl::IsNotFound(download("secret", &nothing)));
  EXPECT_TRUE(absl::IsNotFound(download("s/job-1/gone", &nothing)));
  EXPECT_TRUE(absl::IsInvalidArgument(download("../secret", &nothing)));
  EXPECT_EQ(nothing, "");
}

TEST_F(Checkpoints, ADownloadForAStaleLeaseIsRefused) {
  EXPECT_CALL(core_, CheckLease).WillOnce([](auto, auto, auto done) {
    done(absl::AbortedError("stale"));
  });
  CallContext context;
  EXPECT_EQ(served_.workers->DownloadCheckpoint(&context, Download(kPath))->Finish().error_code(),
            grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace coppice::service
