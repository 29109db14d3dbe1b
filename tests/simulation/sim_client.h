#ifndef COPPICE_TESTS_SIMULATION_SIM_CLIENT_H_
#define COPPICE_TESTS_SIMULATION_SIM_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/ledger.h"
#include "tests/simulation/network.h"
#include "tests/simulation/planted_bugs.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::simulation {

// Purpose: the worker's view of WorkerService over the simulated network, with the deadlines of the
// real client. Records in the ledger what the worker receives. Owner: a WorkerProcess.
class SimClient : public worker::CoordinatorClient {
 public:
  struct Place {
    std::string machine;  // its line may be cut
    std::string process;  // for the ledger
    // Runs a function that writes to this machine's disk.
    std::function<absl::Status(const std::function<absl::Status()>&)> on_disk;
  };
  SimClient(Network* network, Ledger* ledger, const LifeRef& life, Place place, PlantedBug bug)
      : network_(*network), ledger_(*ledger), life_(life), place_(std::move(place)), bug_(bug) {}

  void Register(const v1::RegisterRequest& request,
                Callback<v1::RegisterResponse> callback) override;
  void AcquireLeases(const v1::AcquireLeasesRequest& request,
                     Callback<v1::AcquireLeasesResponse> callback) override;
  void CancelAcquires() override;
  void Heartbeat(const v1::HeartbeatRequest& request,
                 Callback<v1::HeartbeatResponse> callback) override;
  void Leave(const v1::LeaveRequest& request, Callback<v1::LeaveResponse> callback) override;
  void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                        Callback<v1::RejectCheckpointResponse> callback) override;
  void UploadCheckpoint(const v1::CheckpointUpload& header, const std::string& file,
                        Callback<v1::UploadCheckpointResponse> callback) override;
  void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t bytes,
                          const std::string& file,
                          std::function<void(absl::Status)> callback) override;
  std::unique_ptr<worker::RecordStream> OpenRecords(
      std::function<void(v1::StreamRecordsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) override;
  std::string Explain(const absl::Status& status) const override { return status.ToString(); }

 private:
  struct Acquire {
    bool cancelled = false;
    std::function<void()> give_up;
  };
  template <typename Request, typename Response>
  void Call(void (SimService::*method)(const Request&, Reply<Response>), const Request& request,
            Callback<Response> callback);

  Network& network_;
  Ledger& ledger_;
  const LifeRef life_;
  const Place place_;
  const PlantedBug bug_;
  // For planted bugs: the numbers and the id of its registrations.
  uint64_t registered_as_ = 0;
  std::string worker_id_;
  uint64_t returns_ = 0;
  std::vector<std::weak_ptr<Acquire>> acquires_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_CLIENT_H_
