// Tests of backup, restore and garbage as an administrator sees them: real processes, killed at bad
// moments.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/rpc/channel.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/coordinator/service/records.h"
#include "tests/testing/subprocess.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RunProcess;
using testing::RunResult;
using testing::Subprocess;

class CallContext : public grpc::ClientContext {
 public:
  CallContext() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60)); }
};

class BackupBinary : public ::testing::Test {
 protected:
  RunResult Run(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {COPPICE_COORDINATOR_BINARY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    command.insert(command.end(), {"--data-dir", data_});
    return RunProcess(command);
  }
  void StartCoordinator(const std::vector<std::string>& more = {}) {
    const std::string port_file = dir_.Join("port");
    fs::remove(port_file);
    std::vector<std::string> command = {COPPICE_COORDINATOR_BINARY,
                                        "--insecure",
                                        "--data-dir",
                                        data_,
                                        "--listen",
                                        "127.0.0.1:0",
                                        "--port-file",
                                        port_file};
    command.insert(command.end(), more.begin(), more.end());
    process_.emplace(command);
    for (int i = 0; i < 3000 && !FileExists(port_file) && process_->Running(); ++i) {
      process_->Wait(absl::Milliseconds(20));
    }
    ASSERT_TRUE(FileExists(port_file)) << process_->err();
    channel_ = rpc::MakeChannel(*ReadFile(port_file)).value();
    sweeps_ = v1::SweepService::NewStub(channel_);
    workers_ = v1::WorkerService::NewStub(channel_);
  }
  void Kill() {
    process_->Signal(SIGKILL);
    process_->Wait(absl::Seconds(60));
    process_.reset();
  }
  void Submit() {
    v1::SubmitSweepRequest request;
    v1::SweepSpec* spec = request.mutable_spec();
    spec->set_name("s");
    spec->add_tasks("question");
    spec->add_depths(2);
    for (uint32_t seed = 0; seed < 3; ++seed) spec->add_seeds(seed);
    spec->mutable_train()->set_steps(20);
    spec->mutable_report()->set_every(10);
    spec->mutable_checkpoint()->set_every(20);
    v1::SubmitSweepResponse response;
    CallContext context;
    ASSERT_TRUE(sweeps_->SubmitSweep(&context, request, &response).ok());
  }
  void Register() {
    v1::RegisterRequest request;
    request.set_name("w");
    request.set_instance("i");
    request.set_protocol(rpc::kProtocolVersion);
    request.set_slots(1);
    request.set_pack_width(1);
    v1::RegisterResponse response;
    for (int asked = 0; asked < 2 && response.worker_id().empty(); ++asked) {
      CallContext context;
      ASSERT_TRUE(workers_->Register(&context, request, &response).ok());
      request.set_incarnation(response.incarnation());
    }
    worker_id_ = response.worker_id();
  }
  v1::Lease Acquire(const std::string& request_id) {
    v1::AcquireLeasesRequest request;
    request.set_worker_id(worker_id_);
    request.set_request_id(request_id);
    request.set_pack_width(1);
    request.set_wait_ms(30'000);
    v1::AcquireLeasesResponse response;
    CallContext context;
    EXPECT_TRUE(workers_->AcquireLeases(&context, request, &response).ok());
    EXPECT_EQ(response.leases_size(), 1);
    return response.leases_size() == 1 ? response.leases(0) : v1::Lease();
  }
  // False: the lease is over.
  bool Release(const v1::LeaseRef& lease) {
    CallContext context;
    auto stream = workers_->StreamRecords(&context);
    stream->Write(MessageOf(worker_id_, lease, 1, {PreemptedRecord(0, "")}));
    stream->WritesDone();
    v1::StreamRecordsResponse response;
    bool taken = false;
    while (stream->Read(&response)) taken = response.answers(0).number() == 1;
    return stream->Finish().ok() && taken;
  }
  std::vector<std::string> CheckpointFiles() {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(data_ + "/checkpoints")) {
      if (entry.is_regular_file() && entry.path().filename() != ".coppice-store") {
        files.push_back(entry.path().filename());
      }
    }
    return files;
  }

  testing::TempDir dir_;
  const std::string data_ = dir_.Join("data");
  const std::string file_ = dir_.Join("backup");
  std::optional<Subprocess> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
  std::string worker_id_;
};

TEST_F(BackupBinary, ARunningCoordinatorIsBackedUpDestroyedRestoredAndGoesOn) {
  StartCoordinator();
  Submit();
  Register();
  const v1::Lease one = Acquire("r1");
  const RunResult backup = Run({"backup", file_});
  EXPECT_EQ(backup.code, 0) << backup.err;
  EXPECT_THAT(backup.out, AllOf(HasSubstr("1 sweeps, 3 jobs"), HasSubstr("MiB")));
  const v1::Lease two = Acquire("r2");  // granted after the backup

  const RunResult again = Run({"backup", file_});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("--force"));
  EXPECT_EQ(Run({"backup", file_ + "2"}).code, 0);
  const RunResult running = Run({"restore", file_, "--force"});
  EXPECT_EQ(running.code, 1);
  EXPECT_THAT(running.err, HasSubstr("another process uses"));

  Kill();
  EXPECT_EQ(Run({"backup", file_ + "3"}).code, 0) << "what was killed can be backed up, too";
  const RunResult present = Run({"restore", file_});
  EXPECT_EQ(present.code, 1);
  EXPECT_THAT(present.err, HasSubstr("--force"));
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(data_ + "/coppice.db" + suffix);
  const RunResult restored = Run({"restore", file_});
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("3 unfinished; 1 were running and are pending again"));

  StartCoordinator();
  Register();
  EXPECT_FALSE(Release(one.lease())) << "the restore has released it";
  EXPECT_FALSE(Release(two.lease()));
  for (const char* request : {"r3", "r4", "r5"}) {
    const v1::Lease lease = Acquire(request);
    EXPECT_GT(lease.lease().attempt(), 1'700'000'000'000u);
    if (lease.lease().job_id() == two.lease().job_id()) {
      EXPECT_FALSE(Release(two.lease()));
      EXPECT_TRUE(Release(lease.lease()));
    }
  }
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(absl::Seconds(60))->code, 0);
  const RunResult forced = Run({"restore", file_, "--force"});
  EXPECT_EQ(forced.code, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr("coppice.db.replaced-"));
}

TEST_F(BackupBinary, WhatCannotBeBackedUpOrRestoredSaysWhatToDo) {
  EXPECT_EQ(Run({"backup"}).code, 2);
  EXPECT_EQ(Run({"restore"}).code, 2);
  const RunResult nothing = Run({"backup", file_});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_THAT(nothing.err, AllOf(HasSubstr(data_), HasSubstr("--data-dir")));
  EXPECT_FALSE(FileExists(data_)) << "a refused command leaves nothing behind";
  EXPECT_EQ(Run({"restore", file_}).code, 1);
  StartCoordinator();
  Submit();
  // A disk that takes no more than 8 KiB.
  const RunResult full =
      RunProcess({"/bin/bash", "-c",
                  absl::StrCat("trap '' XFSZ; ulimit -f 8; exec ", COPPICE_COORDINATOR_BINARY,
                               " backup ", file_, " --data-dir ", data_)});
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, HasSubstr("nothing was written"));
  for (const auto& entry : fs::directory_iterator(dir_.path())) {
    EXPECT_NE(entry.path().filename().string().substr(0, 6), "backup") << entry.path();
  }
}

TEST_F(BackupBinary, KilledInTheMiddleOfAnUploadNoHalfFileIsSeenAndItsRestIsCollected) {
  StartCoordinator();
  Submit();
  Register();
  const v1::Lease lease = Acquire("r1");
  const std::string content(3 << 20, 'k');
  v1::UploadCheckpointRequest part;
  v1::CheckpointUpload* header = part.mutable_header();
  header->set_worker_id(worker_id_);
  *header->mutable_lease() = lease.lease();
  v1::CheckpointRecord* checkpoint = header->mutable_checkpoint();
  checkpoint->set_path(lease.checkpoint_dir() + "/step-000000000.safetensors");
  checkpoint->set_digest(DigestOf(content.data(), content.size()));
  checkpoint->set_bytes(content.size());
  CallContext context;
  v1::UploadCheckpointResponse response;
  auto upload = workers_->UploadCheckpoint(&context, &response);
  ASSERT_TRUE(upload->Write(part));
  part.set_data(content.substr(0, 1 << 20));
  ASSERT_TRUE(upload->Write(part));
  for (int i = 0; i < 3000 && CheckpointFiles().empty(); ++i) {
    process_->Wait(absl::Milliseconds(20));  // waits for its end between checks
  }
  ASSERT_THAT(CheckpointFiles(), ElementsAre(HasSubstr(".safetensors.tmp-")));
  Kill();
  EXPECT_FALSE(upload->Finish().ok());

  StartCoordinator({"--gc-every", "50ms", "--gc-min-age", "50ms"});
  Register();
  EXPECT_THAT(CheckpointFiles(), ElementsAre(HasSubstr(".safetensors.tmp-")));
  EXPECT_TRUE(Release(lease.lease()));
  // The log reports the removal after it is done.
  const auto said = [&] { return absl::StrContains(process_->err(), "no job refers to it"); };
  for (int i = 0; i < 3000 && !said(); ++i) process_->Wait(absl::Milliseconds(20));
  EXPECT_TRUE(said()) << process_->err();
  EXPECT_THAT(CheckpointFiles(), ElementsAre());
}

}  // namespace
}  // namespace coppice::service
