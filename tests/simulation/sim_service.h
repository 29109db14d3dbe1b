#ifndef COPPICE_TESTS_SIMULATION_SIM_SERVICE_H_
#define COPPICE_TESTS_SIMULATION_SIM_SERVICE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/service/checkpoint_files.h"
#include "coordinator/service/record_queue.h"
#include "coppice/v1/coordinator.pb.h"
#include "tests/simulation/world.h"

namespace coppice::simulation {

template <typename Response>
using Reply = std::function<void(absl::StatusOr<Response>)>;

// Purpose: the server's end of a record stream, like service/record_stream.h: while one batch is
// committed, the next is collected, and a checkpoint waits until its file was checked. Owner: its
// users; the service keeps no reference.
class ServerStream : public std::enable_shared_from_this<ServerStream> {
 public:
  using OnAnswer = std::function<void(const v1::StreamRecordsResponse&)>;
  using Check = service::RecordQueue::Check;
  // A planted bug: stores a record whose lease is over. Returns false if it cannot.
  using AcceptStale = std::function<bool(const core::Record&)>;
  struct Hooks {
    AcceptStale accept_stale;
    // Checks the file of a checkpoint and calls back with the reason to leave it out.
    std::function<void(const std::string& worker_id, const Check&,
                       std::function<void(std::string left_out)>)>
        check;
  };
  ServerStream(core::Coordinator* core, Hooks hooks, OnAnswer on_answer,
               std::function<void(absl::Status)> on_end)
      : core_(*core),
        hooks_(std::move(hooks)),
        on_answer_(std::move(on_answer)),
        on_end_(std::move(on_end)) {}

  void Receive(v1::StreamRecordsRequest message);
  // Called when the worker has gone.
  void Stop() { ended_ = true; }

 private:
  void Advance();
  void OnAppended(const std::vector<core::Record>& batch,
                  absl::StatusOr<std::vector<core::AttemptAnswer>> answers);
  void AcceptStaleRecords(const std::vector<core::Record>& batch, core::AttemptAnswer* answer);
  void End(const absl::Status& status);

  core::Coordinator& core_;
  const Hooks hooks_;
  const OnAnswer on_answer_;
  const std::function<void(absl::Status)> on_end_;
  std::string worker_id_;
  service::RecordQueue queue_{std::make_shared<service::ByteBudget>(size_t{64} << 20)};
  bool appending_ = false;
  bool ended_ = false;
};

// Purpose: WorkerService without gRPC. As in coordinator/service, each call is converted in both
// directions and uploads go through files. Owner: a CoordinatorProcess. One thread. `life` belongs
// to that process.
class SimService {
 public:
  SimService(World* world, const LifeRef& life, core::Coordinator* core, std::string root)
      : world_(*world),
        life_(life),
        core_(*core),
        files_(std::make_shared<service::CheckpointFiles>(std::move(root))) {}

  void Register(const v1::RegisterRequest& request, Reply<v1::RegisterResponse> reply);
  void AcquireLeases(const v1::AcquireLeasesRequest& request, std::function<bool()> cancelled,
                     Reply<v1::AcquireLeasesResponse> reply);
  void Heartbeat(const v1::HeartbeatRequest& request, Reply<v1::HeartbeatResponse> reply);
  void Leave(const v1::LeaveRequest& request, Reply<v1::LeaveResponse> reply);
  void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                        Reply<v1::RejectCheckpointResponse> reply);
  void UploadCheckpoint(const v1::CheckpointUpload& header, std::string content,
                        Reply<v1::UploadCheckpointResponse> reply);
  // Replies with the file's content.
  void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, Reply<std::string> reply);
  std::shared_ptr<ServerStream> OpenStream(ServerStream::OnAnswer on_answer,
                                           std::function<void(absl::Status)> on_end) {
    return std::make_shared<ServerStream>(
        &core_,
        ServerStream::Hooks{accept_stale_,
                            [this](const std::string& worker_id, const ServerStream::Check& check,
                                   std::function<void(std::string)> done) {
                              CheckFile(worker_id, check, 0, std::move(done));
                            }},
        std::move(on_answer), std::move(on_end));
  }

  core::Coordinator& core() { return core_; }
  void set_disk_full(bool full) { disk_full_ = full; }
  void set_accept_stale(ServerStream::AcceptStale accept) { accept_stale_ = std::move(accept); }

 private:
  void Store(const core::NamedCheckpoint& announced, const std::string& content,
             const Reply<v1::UploadCheckpointResponse>& reply);
  // As service::CheckCommittedFile. `checks`: how often the file was not there.
  void CheckFile(const std::string& worker_id, const ServerStream::Check& check, int checks,
                 std::function<void(std::string)> done);
  void OnMissing(const std::string& worker_id, const ServerStream::Check& check, int checks,
                 const std::function<void(std::string)>& done);

  World& world_;
  const LifeRef life_;
  core::Coordinator& core_;
  const std::shared_ptr<service::CheckpointFiles> files_;
  bool disk_full_ = false;
  ServerStream::AcceptStale accept_stale_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_SERVICE_H_
