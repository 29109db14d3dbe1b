// Checkpoints for clients: bytes and description, irregular files, and a file server that is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/rpc/status.h"
#include "tests/coordinator/service/checkpoints_fixture.h"
#include "tests/coordinator/service/records.h"
#include "tests/testing/hung_folder.h"

namespace coppice::service {
namespace {

using ::testing::_;

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
  // Sends the record of a checkpoint. Returns nothing if there is no answer.
  std::optional<std::string> Commit(const std::string& path, uint64_t bytes) {
    v1::AttemptRecord record;
    *record.mutable_checkpoint() = Header("").header().checkpoint();
    record.mutable_checkpoint()->set_path(path);
    record.mutable_checkpoint()->set_bytes(bytes);
    CallContext context(std::chrono::seconds(2));
    const auto stream = served_.workers->StreamRecords(&context);
    stream->Write(MessageOf("w", LeaseOf(1), 1, {record}));
    stream->WritesDone();
    v1::StreamRecordsResponse response;
    if (!stream->Read(&response)) return std::nullopt;
    return response.answers(0).omissions_size() > 0 ? response.answers(0).omissions(0).reason()
                                                    : "taken";
  }

  testing::HungFolder dead_{dir_.Join("dead")};
};

TEST_F(DeadFileServer, ItsTransfersAndCommitsEndAndAllOthersGoOn) {
  if (!dead_.mounted()) GTEST_SKIP() << "this machine does not let a FUSE filesystem be mounted";
  ON_CALL(core_, Append).WillByDefault([](auto, const auto& records, auto done) {
    done(std::vector<core::AttemptAnswer>{{records.back().lease, records.back().number}});
  });
  AllowLease();
  std::vector<std::thread> clients;
  std::vector<absl::Status> ends(9);
  for (uint32_t step = 1; step <= 9; ++step) {
    clients.emplace_back([&, step] { ends[step - 1] = Fetch(step).status; });
  }
  EXPECT_EQ(Fetch(10).data, "older") << "while nine transfers wait for what does not answer";
  EXPECT_EQ(Commit(kOlder, 5), "taken");
  const std::string content(1000, 'c');
  v1::UploadCheckpointRequest upload = Header(content);
  upload.mutable_header()->mutable_checkpoint()->set_path(
      "s/job-1/attempt-1/step-000000020.safetensors");
  EXPECT_EQ(Upload(upload, content), absl::OkStatus());
  for (std::thread& client : clients) client.join();
  for (const absl::Status& end : ends) EXPECT_TRUE(absl::IsDeadlineExceeded(end)) << end;
  EXPECT_TRUE(absl::IsUnavailable(Fetch(1).status)) << "known by now not to answer";
  EXPECT_EQ(Commit("dead/new", 5), std::nullopt) << "it waits for the disk";
  upload.mutable_header()->mutable_checkpoint()->set_path("dead/upload");
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
