// Tests of checkpoints through real stubs: uploads and downloads of workers, fetches of clients. A
// mock core decides which checkpoint is current.
#include "coordinator/service/checkpoint_streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/hung_folder.h"

namespace coppice::service {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::NiceMock;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr char kPath[] = "s/job-1/attempt-1/step-000000010.safetensors";

class Checkpoints : public ::testing::Test {
 protected:
  ~Checkpoints() override { served_.server.reset(); }

  v1::UploadCheckpointRequest Header(const std::string& content) {
    v1::UploadCheckpointRequest request;
    v1::CommitCheckpointRequest* header = request.mutable_header();
    header->set_worker_id("w");
    header->mutable_lease()->set_job_id(1);
    header->mutable_lease()->set_attempt(1);
    header->set_step(10);
    header->set_path(kPath);
    header->set_digest(DigestOf(content.data(), content.size()));
    header->set_bytes(content.size());
    return request;
  }
  absl::Status Upload(const v1::UploadCheckpointRequest& header, const std::string& content,
                      size_t chunk = kCheckpointChunkBytes) {
    CallContext context;
    v1::UploadCheckpointResponse response;
    auto writer = served_.workers->UploadCheckpoint(&context, &response);
    writer->Write(header);
    for (size_t at = 0; at < content.size(); at += chunk) {
      v1::UploadCheckpointRequest part;
      part.set_data(content.substr(at, chunk));
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return rpc::FromGrpc(writer->Finish());
  }
  core::JobDetails JobWith(const v1::UploadCheckpointRequest& header) {
    core::JobDetails details;
    details.checkpoints.resize(1);
    details.checkpoints[0].path = header.header().path();
    details.checkpoints[0].digest = header.header().digest();
    return details;
  }
  void AllowLease() {
    ON_CALL(core_, CheckLease).WillByDefault([](auto, auto, auto done) { done(absl::OkStatus()); });
  }
  void ExpectCommits(const absl::Status& status) {
    EXPECT_CALL(core_, CommitCheckpoint).WillRepeatedly([status](auto, auto done) {
      done(status);
    });
  }
  // Files (not folders) anywhere under the root.
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(dir_.path()));
    }
    return files;
  }

  NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  Served served_{&core_, &clock_, dir_.path()};
};

TEST_F(Checkpoints, AnUploadIsDurableBeforeTheCoreHearsOfIt) {
  AllowLease();
  const std::string content(5'000'000, 'c');
  EXPECT_CALL(core_, CommitCheckpoint)
      .WillOnce([&](const core::CheckpointCommit& commit, auto done) {
        EXPECT_EQ(commit.path, kPath);
        EXPECT_EQ(commit.bytes, content.size());
        EXPECT_EQ(commit.step, 10u);
        EXPECT_EQ(ReadFile(dir_.Join(commit.path)).value(), content);
        done(absl::OkStatus());
      });
  EXPECT_EQ(Upload(Header(content), content), absl::OkStatus());
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, WhatIsNotAsAnnouncedLeavesNoFileAndIsNotCommitted) {
  AllowLease();
  EXPECT_CALL(core_, CommitCheckpoint).Times(0);
  const std::string content(1000, 'c');
  v1::UploadCheckpointRequest header = Header(content);
  std::string flipped = content;
  flipped[500] ^= 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, flipped)));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content.substr(1))));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content + "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, std::string(2 << 20, 'c'), 2 << 20)));
  for (const char* path : {"../escape", "/tmp/escape", "a/../../escape", ""}) {
    header.mutable_header()->set_path(path);
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content))) << path;
  }
  header = Header(content);
  header.mutable_header()->set_bytes(kMaxCheckpointBytes + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, ARefusedUploadLeavesNoFoldersBehind) {
  AllowLease();
  const std::string content(1000, 'c');
  const auto root_is_empty = [&] { return std::filesystem::is_empty(dir_.path()); };
  v1::UploadCheckpointRequest header = Header(content);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload(header, content.substr(1))));
  EXPECT_TRUE(root_is_empty());
  ExpectCommits(absl::AbortedError("stale"));
  EXPECT_TRUE(absl::IsAborted(Upload(header, content)));
  EXPECT_TRUE(root_is_empty());
  // Folders that existed before or are not empty stay.
  ASSERT_TRUE(MakeDirectories(dir_.Join("s/job-1")).ok());
  EXPECT_TRUE(absl::IsAborted(Upload(header, content)));
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

TEST_F(Checkpoints, ACommitThatTheCoreRefusesTakesTheFileAway) {
  AllowLease();
  ExpectCommits(absl::AbortedError("stale"));
  const std::string content(1000, 'c');
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(Checkpoints, AResentUploadKeepsTheFileThatMayBeCommitted) {
  AllowLease();
  const std::string content(1000, 'c');
  ExpectCommits(absl::OkStatus());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  EXPECT_TRUE(Upload(Header(content), content).ok());
  ::testing::Mock::VerifyAndClearExpectations(&core_);
  AllowLease();
  ExpectCommits(absl::AbortedError("stale"));
  EXPECT_TRUE(absl::IsAborted(Upload(Header(content), content)));
  EXPECT_EQ(ReadFile(dir_.Join(kPath)).value(), content);
  EXPECT_THAT(Files(), ElementsAre(kPath));
}

TEST_F(Checkpoints, ACommittedCheckpointIsNeverOverwrittenByAnother) {
  AllowLease();
  const std::string content(1000, 'c'), other(1000, 'd');
  ExpectCommits(absl::OkStatus());
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
  ExpectCommits(absl::OkStatus());
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
  EXPECT_CALL(core_, CommitCheckpoint).Times(0);
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

// ---- checkpoints for clients

class Fetches : public Checkpoints {
 protected:
  // A client's result: the header, the bytes, the status.
  struct Fetched {
    absl::Status status;
    int headers = 0;
    v1::Checkpoint header;
    std::string data;
  };

  Fetches() {
    for (int i = 0; i < 3'000'000; ++i) content_.push_back(static_cast<char>(i * 7));
    EXPECT_TRUE(MakeDirectories(dir_.Join("s/job-1/attempt-1")).ok());
    Put(kPath, content_);
    Put(kOlder, "older");
    // The job's own checkpoints, and no others, can be fetched.
    checkpoints_ = {Of(20, kPath, content_), Of(10, kOlder, "older")};
    ON_CALL(core_, GetJob(1, _)).WillByDefault([this](auto, auto done) {
      core::JobDetails details;
      details.checkpoints = checkpoints_;
      done(details);
    });
  }
  void Put(const std::string& path, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(dir_.Join(path), content).ok());
  }
  static core::Checkpoint Of(uint32_t step, const std::string& path, const std::string& content) {
    return {1, 1, step, path, DigestOf(content.data(), content.size()), content.size(), 123};
  }
  Fetched Fetch(std::optional<uint32_t> step, uint64_t job = 1) {
    v1::FetchCheckpointRequest request;
    request.set_job_id(job);
    if (step.has_value()) request.set_step(*step);
    CallContext context;
    auto reader = served_.sweeps->FetchCheckpoint(&context, request);
    Fetched fetched;
    v1::FetchCheckpointResponse part;
    while (reader->Read(&part)) {
      if (part.has_header()) {
        EXPECT_EQ(fetched.data, "") << "the header comes first";
        ++fetched.headers;
        fetched.header = part.header();
      }
      EXPECT_LE(part.data().size(), kCheckpointChunkBytes);
      fetched.data += part.data();
    }
    fetched.status = rpc::FromGrpc(reader->Finish());
    return fetched;
  }

  static constexpr char kOlder[] = "s/job-1/attempt-1/step-000000005.safetensors";
  std::string content_;
  std::vector<core::Checkpoint> checkpoints_;
};

TEST_F(Fetches, TheCurrentOneAndAnOlderOneComeWithTheirDescription) {
  const Fetched current = Fetch(std::nullopt);
  EXPECT_EQ(current.status, absl::OkStatus());
  EXPECT_EQ(current.headers, 1);
  EXPECT_EQ(current.header.step(), 20u);
  EXPECT_EQ(current.header.bytes(), content_.size());
  EXPECT_EQ(current.header.digest(), DigestOf(content_.data(), content_.size()));
  EXPECT_EQ(current.header.committed_ms(), 123);
  EXPECT_EQ(current.data, content_);
  const Fetched older = Fetch(10);
  EXPECT_EQ(older.status, absl::OkStatus());
  EXPECT_EQ(older.data, "older");
}

TEST_F(Fetches, AStepThatIsNotThereIsNotFoundAndSaysWhatIs) {
  const Fetched absent = Fetch(0);
  EXPECT_TRUE(absl::IsNotFound(absent.status)) << "step 0 is a step, not the current one";
  EXPECT_THAT(std::string(absent.status.message()), ::testing::HasSubstr("it has those of 20, 10"));
  EXPECT_EQ(absent.headers, 0);
  checkpoints_.clear();
  EXPECT_THAT(std::string(Fetch(std::nullopt).status.message()),
              ::testing::HasSubstr("no committed checkpoint yet"));
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch(std::nullopt, 0).status));
}

TEST_F(Fetches, AFileThatIsGoneOrIsNotWhatWasCommittedIsDataLoss) {
  std::string flipped = content_;
  flipped[1'500'000] ^= 1;
  Put(kPath, flipped);
  const Fetched bad = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(bad.status)) << bad.status;
  EXPECT_THAT(std::string(bad.status.message()), ::testing::HasSubstr("digest"));
  Put(kPath, content_.substr(1));
  const Fetched cut = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(cut.status)) << cut.status;
  EXPECT_EQ(cut.headers, 0) << "a size that does not fit is known before the first byte";
  ASSERT_TRUE(RemoveFile(dir_.Join(kPath)).ok());
  const Fetched gone = Fetch(std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(gone.status)) << gone.status;
  EXPECT_THAT(std::string(gone.status.message()), ::testing::HasSubstr("is gone"));
  EXPECT_EQ(Fetch(10).status, absl::OkStatus()) << "the others are not touched by that";
}

TEST_F(Fetches, AClientThatGoesAwayHoldsNothing) {
  v1::FetchCheckpointRequest request;
  request.set_job_id(1);
  CallContext context;
  auto reader = served_.sweeps->FetchCheckpoint(&context, request);
  v1::FetchCheckpointResponse part;
  ASSERT_TRUE(reader->Read(&part));
  context.TryCancel();
  while (reader->Read(&part)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(Fetches, AClientThatTakesForEverIsGivenUp) {
  v1::FetchCheckpointRequest request;
  request.set_job_id(1);
  absl::Notification asked;
  core::Coordinator::Done<core::JobDetails> answer;
  EXPECT_CALL(core_, GetJob).WillOnce([&](auto, auto done) {
    answer = done;
    asked.Notify();
  });
  CallContext context;
  auto reader = served_.sweeps->FetchCheckpoint(&context, request);
  ASSERT_TRUE(asked.WaitForNotificationWithTimeout(kPatience));
  clock_.Advance(kTransferLimit);
  answer(core::JobDetails{
      .job = {}, .run_json = "", .attempts = {}, .events = {}, .checkpoints = checkpoints_});
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

// ---- irregular files, and a file server that is gone

TEST_F(Fetches, PipesAmongTheCheckpointsAreRefusedAndStopNothing) {
  checkpoints_.clear();
  for (uint32_t step = 1; step <= 8; ++step) {
    const std::string path = absl::StrCat("s/job-1/attempt-1/pipe-", step);
    ASSERT_EQ(::mkfifo(dir_.Join(path).c_str(), 0600), 0);
    checkpoints_.push_back(Of(step, path, content_));
  }
  checkpoints_.push_back(Of(10, kOlder, "older"));
  for (uint32_t step = 1; step <= 8; ++step) {
    const Fetched pipe = Fetch(step);
    EXPECT_TRUE(absl::IsDataLoss(pipe.status)) << pipe.status;
  }
  EXPECT_EQ(Fetch(10).data, "older");
  served_.server.reset();  // the shutdown does not wait for a writer either
}

class DeadFileServer : public Fetches {
 protected:
  DeadFileServer() {
    ServerOptions options;
    options.disk.slow = absl::Milliseconds(50);
    options.disk.limit = absl::Seconds(1);
    served_ = Served(&core_, &clock_, dir_.path(), options);
    checkpoints_.clear();
    for (uint32_t step = 1; step <= 9; ++step) {
      checkpoints_.push_back(Of(step, absl::StrCat("dead/step-", step), content_));
    }
    checkpoints_.push_back(Of(10, kOlder, "older"));
  }
  absl::Status Commit(const std::string& path, uint64_t bytes) {
    v1::CommitCheckpointRequest request = Header("").header();
    request.set_path(path);
    request.set_bytes(bytes);
    CallContext context;
    v1::CommitCheckpointResponse response;
    return rpc::FromGrpc(served_.workers->CommitCheckpoint(&context, request, &response));
  }

  testing::HungFolder dead_{dir_.Join("dead")};
};

TEST_F(DeadFileServer, ItsTransfersAndCommitsEndAndAllOthersGoOn) {
  if (!dead_.mounted()) GTEST_SKIP() << "this machine does not let a FUSE filesystem be mounted";
  ExpectCommits(absl::OkStatus());
  AllowLease();
  std::vector<std::thread> clients;
  std::vector<absl::Status> ends(9);
  for (uint32_t step = 1; step <= 9; ++step) {
    clients.emplace_back([&, step] { ends[step - 1] = Fetch(step).status; });
  }
  EXPECT_EQ(Fetch(10).data, "older") << "while nine transfers wait for what does not answer";
  EXPECT_EQ(Commit(kOlder, 5), absl::OkStatus());
  const std::string content(1000, 'c');
  v1::UploadCheckpointRequest upload = Header(content);
  upload.mutable_header()->set_path("s/job-1/attempt-1/step-000000020.safetensors");
  EXPECT_EQ(Upload(upload, content), absl::OkStatus());
  for (std::thread& client : clients) client.join();
  for (const absl::Status& end : ends) EXPECT_TRUE(absl::IsDeadlineExceeded(end)) << end;
  EXPECT_TRUE(absl::IsUnavailable(Fetch(1).status)) << "known by now not to answer";
  EXPECT_TRUE(absl::IsDeadlineExceeded(Commit("dead/new", 5)));
  upload.mutable_header()->set_path("dead/upload");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Upload(upload, content)));
  EXPECT_EQ(Fetch(10).data, "older");
}

TEST_F(DeadFileServer, TheServerEndsThoughTransfersWaitForIt) {
  if (!dead_.mounted()) GTEST_SKIP() << "this machine does not let a FUSE filesystem be mounted";
  absl::Notification asked;
  ON_CALL(core_, GetJob(1, _)).WillByDefault([&](auto, auto done) {
    core::JobDetails details;
    details.checkpoints = checkpoints_;
    done(details);
    if (!asked.HasBeenNotified()) asked.Notify();
  });
  absl::Status end;
  std::thread client([&] { end = Fetch(1).status; });
  ASSERT_TRUE(asked.WaitForNotificationWithTimeout(kPatience));
  const absl::Duration begun = Clock::Real()->Monotonic();
  served_.server->CloseStreams();
  served_.server->Shutdown(absl::Milliseconds(100));
  EXPECT_LT(Clock::Real()->Monotonic() - begun, absl::Seconds(15));
  client.join();
  EXPECT_FALSE(end.ok());
}

}  // namespace
}  // namespace coppice::service
