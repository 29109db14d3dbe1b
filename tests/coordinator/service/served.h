// A core behind a real server on a loopback port, with real client stubs.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_SERVED_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_SERVED_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/rpc/channel.h"
#include "coordinator/service/server.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {

// A context whose deadline turns a hang into a failure.
class CallContext : public grpc::ClientContext {
 public:
  explicit CallContext(std::chrono::seconds limit = std::chrono::seconds(60)) {
    set_deadline(std::chrono::system_clock::now() + limit);
  }
};

class Served {
 public:
  Served(core::Coordinator* core, Clock* clock, const std::string& checkpoint_root,
         ServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    options.insecure = Insecure::kThisMachine;
    options.checkpoint_root = checkpoint_root;
    absl::StatusOr<std::unique_ptr<Server>> started = Server::Start(core, clock, options);
    if (!started.ok()) {
      ADD_FAILURE() << started.status();
      std::abort();
    }
    server = *std::move(started);
    channel = rpc::MakeChannel(server->address()).value();
    sweeps = v1::SweepService::NewStub(channel);
    workers = v1::WorkerService::NewStub(channel);
  }

  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::SweepService::Stub> sweeps;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_SERVED_H_
