// A caller with a valid token must not leave the checkpoint root or take more than its share.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "coordinator/service/live_streams.h"
#include "tests/coordinator/service/secured.h"

namespace coppice::service {
namespace {

using security::Role;
using ::testing::_;
using ::testing::HasSubstr;

class Limits : public Secured {
 protected:
  Limits() {
    Start();
    sweeps_ = v1::SweepService::NewStub(Channel(With(Role::kOperator)));
    workers_ = v1::WorkerService::NewStub(Channel(With(Role::kWorker)));
  }
  static v1::CheckpointUpload Announce(const std::string& path) {
    v1::CheckpointUpload upload;
    upload.set_worker_id("w");
    upload.mutable_lease()->set_job_id(1);
    upload.mutable_lease()->set_attempt(1);
    v1::CheckpointRecord* checkpoint = upload.mutable_checkpoint();
    checkpoint->set_step(10);
    checkpoint->set_path(path);
    checkpoint->set_digest(DigestOf("evil", 4));
    checkpoint->set_bytes(4);
    return upload;
  }
  // Sends the checkpoint as a record and returns the contents that reach the core.
  std::vector<core::RecordContent> Commit(const std::string& path) {
    std::vector<core::RecordContent> contents;
    EXPECT_CALL(core_, Append).WillOnce([&](auto, const auto& records, auto done) {
      for (const core::Record& record : records) contents.push_back(record.content);
      core::AttemptAnswer answer{records[0].lease};
      answer.refusal = absl::InvalidArgumentError("refused");
      done(std::vector<core::AttemptAnswer>{answer});
    });
    CallContext context;
    const auto stream = workers_->StreamRecords(&context);
    v1::StreamRecordsRequest request;
    request.set_worker_id("w");
    v1::AttemptRecord* record = request.add_records();
    *record->mutable_lease() = Announce(path).lease();
    record->set_number(1);
    *record->mutable_checkpoint() = Announce(path).checkpoint();
    stream->Write(request);
    stream->WritesDone();
    v1::StreamRecordsResponse response;
    while (stream->Read(&response)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
    return contents;
  }
  absl::Status Upload(const std::string& path) {
    CallContext context;
    v1::UploadCheckpointResponse response;
    const auto writer = workers_->UploadCheckpoint(&context, &response);
    v1::UploadCheckpointRequest part;
    *part.mutable_header() = Announce(path);
    writer->Write(part);
    part.set_data("evil");
    writer->Write(part);
    writer->WritesDone();
    return rpc::FromGrpc(writer->Finish());
  }
  absl::Status Download(const std::string& path) {
    v1::DownloadCheckpointRequest request;
    request.set_worker_id("w");
    request.mutable_lease()->set_job_id(1);
    request.mutable_lease()->set_attempt(1);
    request.set_path(path);
    CallContext context;
    const auto reader = workers_->DownloadCheckpoint(&context, request);
    v1::DownloadCheckpointResponse part;
    while (reader->Read(&part)) data_ += part.data();
    return rpc::FromGrpc(reader->Finish());
  }
  absl::Status Fetch() {
    v1::FetchCheckpointRequest request;
    request.set_job_id(1);
    CallContext context;
    const auto reader = sweeps_->FetchCheckpoint(&context, request);
    v1::FetchCheckpointResponse part;
    while (reader->Read(&part)) data_ += part.data();
    return rpc::FromGrpc(reader->Finish());
  }
  // Makes this path job 1's only checkpoint in the store.
  void StoreNames(const std::string& path, const std::string& content) {
    ON_CALL(core_, GetJob).WillByDefault([path, content](auto, auto done) {
      core::JobDetails details;
      details.checkpoints.push_back(
          {1, 1, 10, path, DigestOf(content.data(), content.size()), content.size(), 1});
      done(details);
    });
  }

  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
  std::string data_;
};

TEST_F(Limits, NoPathFromTheWireLeavesTheCheckpointRoot) {
  EXPECT_CALL(core_, CheckLease).Times(0);
  for (const std::string& path :
       {std::string("../evil"), std::string("s/../../evil"), std::string("s/.."), dir_.Join("evil"),
        std::string("/etc/passwd"), std::string("./evil"), std::string("s//evil"),
        std::string("s\\..\\evil"), std::string("s/evil\0.safetensors", 19), std::string(""),
        std::string("s/"), std::string(1025, 'a')}) {
    const auto contents = Commit(path);
    ASSERT_EQ(contents.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<core::Malformed>(contents[0])) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(path))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(Download(path))) << path;
  }
  EXPECT_FALSE(FileExists(dir_.Join("evil")));
  EXPECT_TRUE(std::filesystem::is_empty(root_));
}

TEST_F(Limits, ALinkInsideTheRootLeadsNeitherOutNorIn) {
  const std::string outside = dir_.Join("outside");
  ASSERT_TRUE(MakeDirectories(outside).ok());
  ASSERT_TRUE(WriteFileAtomically(outside + "/secret", "hidden").ok());
  ASSERT_EQ(::symlink(outside.c_str(), (root_ + "/s").c_str()), 0);
  ASSERT_TRUE(MakeDirectories(root_ + "/t").ok());
  ASSERT_EQ(::symlink((outside + "/secret").c_str(), (root_ + "/t/secret").c_str()), 0);

  EXPECT_TRUE(absl::IsFailedPrecondition(Upload("s/new/evil")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Upload("t/secret")));
  EXPECT_FALSE(FileExists(outside + "/new")) << "not even a folder";
  EXPECT_EQ(ReadFile(outside + "/secret").value(), "hidden");
  for (const char* path : {"s/secret", "t/secret"}) {
    StoreNames(path, "hidden");
    EXPECT_TRUE(absl::IsPermissionDenied(Download(path))) << path;
    EXPECT_TRUE(absl::IsPermissionDenied(Fetch())) << path;
  }
  EXPECT_EQ(data_, "");
  ASSERT_TRUE(WriteFileAtomically(root_ + "/t/plain", "hidden").ok());
  StoreNames("t/plain", "hidden");
  EXPECT_TRUE(Fetch().ok()) << "otherwise the refusals prove nothing";
  EXPECT_EQ(data_, "hidden");
}

TEST_F(Limits, AMessageBeyondTheLimitIsRefused) {
  // Our own channels refuse to send such a message; an intruder's channel does not.
  grpc::ChannelArguments unlimited;
  unlimited.SetMaxSendMessageSize(-1);
  const auto channel = grpc::CreateCustomChannel(
      server_->address(),
      rpc::MakeChannelCredentials(server_->address(), With(Role::kOperator)).value(), unlimited);
  EXPECT_TRUE(absl::IsResourceExhausted(
      Call(channel, "/coppice.v1.SweepService/SubmitSweep", {},
           std::string(static_cast<size_t>(rpc::kMaxMessageBytes) + 1, 'x'))));
  EXPECT_TRUE(Call(channel, "/coppice.v1.SweepService/ListSweeps").ok()) << "the rest goes on";
}

TEST_F(Limits, HeadersBeyondTheLimitAreRefused) {
  const auto channel = Channel(With(Role::kOperator));
  EXPECT_FALSE(Call(channel, "/coppice.v1.SweepService/ListSweeps",
                    {{"x-large", std::string(64 << 10, 'x')}})
                   .ok());
  // gRPC may close the connection of these calls, so this one uses another.
  EXPECT_TRUE(Call(Channel(With(Role::kViewer)), "/coppice.v1.SweepService/ListSweeps").ok())
      << "others go on";
}

TEST_F(Limits, HugeNamesAndListsAreRefusedBeforeTheCore) {
  EXPECT_CALL(core_, GetSweep).Times(0);
  EXPECT_CALL(core_, SubmitSweep).Times(0);
  EXPECT_CALL(core_, Register).Times(0);
  const std::string huge(1 << 20, 'a');
  const auto refused = [](const grpc::Status& status) {
    return status.error_code() == grpc::StatusCode::INVALID_ARGUMENT;
  };
  {
    CallContext context;
    v1::GetSweepRequest request;
    v1::GetSweepResponse response;
    request.set_name(huge);
    EXPECT_TRUE(refused(sweeps_->GetSweep(&context, request, &response)));
  }
  {
    CallContext context;
    v1::RegisterRequest request;
    v1::RegisterResponse response;
    request.set_protocol(rpc::kProtocolVersion);
    request.set_name(huge);
    EXPECT_TRUE(refused(workers_->Register(&context, request, &response)));
  }
  for (const char* name : {"../up", "a/b", ".hidden", "-flag", "a b", "a\nb"}) {
    CallContext context;
    v1::SubmitSweepRequest request;
    v1::SubmitSweepResponse response;
    request.mutable_spec()->set_name(name);
    request.mutable_spec()->add_tasks("dyck");
    request.mutable_spec()->add_depths(2);
    request.mutable_spec()->add_seeds(0);
    EXPECT_TRUE(refused(sweeps_->SubmitSweep(&context, request, &response)))
        << "a sweep's name is a part of a path: " << name;
  }
  {
    CallContext context;
    v1::SubmitSweepRequest request;
    v1::SubmitSweepResponse response;
    request.mutable_spec()->set_name("s");
    request.mutable_spec()->add_tasks("dyck");
    request.mutable_spec()->add_depths(2);
    for (uint32_t seed = 0; seed < 1'000'001; ++seed) request.mutable_spec()->add_seeds(seed);
    EXPECT_TRUE(refused(sweeps_->SubmitSweep(&context, request, &response)));
  }
}

TEST_F(Limits, ALongComplaintIsCutOffInsteadOfLost) {
  v1::SubmitSweepRequest request;
  request.mutable_spec()->set_name("s");
  request.mutable_spec()->add_seeds(0);
  for (int i = 0; i < 900; ++i) {
    request.mutable_spec()->add_overrides()->mutable_train()->set_learning_rate(-1);
  }
  v1::SubmitSweepResponse response;
  CallContext context;
  const grpc::Status status = sweeps_->SubmitSweep(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("tasks is missing"));
  EXPECT_THAT(status.error_message(), HasSubstr("(cut off)"));
}

class Held : public LiveStream {
 public:
  void Stop(absl::Status status) override { stopped = std::move(status); }
  absl::Status stopped;
};

TEST(LiveStreams, MoreThanTheMostAreTurnedAwayUntilOneHasEnded) {
  LiveStreams live(2);
  const auto a = std::make_shared<Held>(), b = std::make_shared<Held>(),
             c = std::make_shared<Held>();
  ASSERT_TRUE(live.Add(a).ok());
  ASSERT_TRUE(live.Add(b).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(live.Add(c)));
  live.Remove(a.get());
  EXPECT_TRUE(live.Add(c).ok());
}

TEST(LiveStreams, EndingAllLetsNewOnesIn) {
  LiveStreams live;
  const auto a = std::make_shared<Held>(), b = std::make_shared<Held>();
  ASSERT_TRUE(live.Add(a).ok());
  live.EndAll(absl::UnavailableError("again"));
  EXPECT_TRUE(absl::IsUnavailable(a->stopped));
  EXPECT_TRUE(live.Add(b).ok());
  EXPECT_TRUE(b->stopped.ok());
}

}  // namespace
}  // namespace coppice::service
