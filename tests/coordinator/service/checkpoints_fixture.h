// A server with a checkpoint root, a core that tests program, and uploads to it.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_CHECKPOINTS_FIXTURE_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_CHECKPOINTS_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/rpc/status.h"
#include "coordinator/service/checkpoint_streams.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"

namespace coppice::service {

inline constexpr absl::Duration kPatience = absl::Seconds(30);
inline constexpr char kPath[] = "s/job-1/attempt-1/step-000000010.safetensors";

class Checkpoints : public ::testing::Test {
 protected:
  ~Checkpoints() override { served_.server.reset(); }

  v1::UploadCheckpointRequest Header(const std::string& content) {
    v1::UploadCheckpointRequest request;
    v1::CheckpointUpload* header = request.mutable_header();
    header->set_worker_id("w");
    header->mutable_lease()->set_job_id(1);
    header->mutable_lease()->set_attempt(1);
    v1::CheckpointRecord* checkpoint = header->mutable_checkpoint();
    checkpoint->set_step(10);
    checkpoint->set_path(kPath);
    checkpoint->set_digest(DigestOf(content.data(), content.size()));
    checkpoint->set_bytes(content.size());
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
    details.checkpoints[0].path = header.header().checkpoint().path();
    details.checkpoints[0].digest = header.header().checkpoint().digest();
    return details;
  }
  void AllowLease() {
    ON_CALL(core_, CheckLease).WillByDefault([](auto, auto, auto done) { done(absl::OkStatus()); });
  }
  // Files (not folders) anywhere under the root.
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(dir_.path()));
    }
    return files;
  }

  ::testing::NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  Served served_{&core_, &clock_, dir_.path()};
};

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_CHECKPOINTS_FIXTURE_H_
