// A real server on loopback with TLS and tokens, and an intruder's tools to attack it.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_SECURED_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_SECURED_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "coordinator/security/certificates.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/server.h"
#include "tests/coordinator/service/mock_coordinator.h"
#include "tests/coordinator/service/served.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace coppice::service {

using Headers = std::vector<std::pair<std::string, std::string>>;

class Secured : public ::testing::Test {
 protected:
  Secured() {
    const absl::Time now = Clock::Real()->Now();
    valid_ = {now - absl::Hours(1), now + absl::Hours(1)};
    authority_ = security::MakeAuthority("test authority", valid_).value();
    ca_ = Put("ca", authority_.certificate);
    for (const auto role :
         {security::Role::kViewer, security::Role::kOperator, security::Role::kWorker}) {
      const std::string name(security::RoleName(role));
      tokens_[role] = security::NewToken().value();
      EXPECT_TRUE(table_.Add(name, role, now, tokens_[role]).ok());
      token_files_[role] = Put(name, tokens_[role] + "\n");
    }
    WriteTable();
    registry_ = security::TokenRegistry::Open(dir_.Join("tokens"), &clock_).value();
    server_pair_ = Issue({"127.0.0.1", "localhost"}, valid_);
    ON_CALL(core_, ListSweeps).WillByDefault([](auto done) {
      done(std::vector<core::SweepSummary>());
    });
    ON_CALL(core_, ListWorkers).WillByDefault([](auto done) { done(std::vector<core::Worker>()); });
    ON_CALL(core_, CheckLease).WillByDefault([](auto, auto, auto done) { done(absl::OkStatus()); });
  }
  ~Secured() override { server_.reset(); }

  security::KeyPair Issue(const std::vector<std::string>& hosts, const security::Validity& when) {
    return security::IssueServerCertificate(authority_, hosts, when).value();
  }
  std::string Put(const std::string& name, const std::string& content) {
    EXPECT_TRUE(ReplaceSecretFile(dir_.Join(name), content).ok());
    return dir_.Join(name);
  }
  void WriteTable() { Put("tokens", table_.Serialize()); }

  ServerOptions Options() {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.checkpoint_root = root_;
    options.security.certificate = server_pair_.certificate;
    options.security.key = server_pair_.key;
    options.security.tokens = registry_.get();
    return options;
  }
  void Start(const ServerOptions& options) {
    EXPECT_TRUE(MakeDirectories(root_).ok());
    absl::StatusOr<std::unique_ptr<Server>> started = Server::Start(&core_, &clock_, options);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  void Start() { Start(Options()); }

  rpc::Credentials With(security::Role role) {
    return {.tls_ca = ca_, .token_file = token_files_[role]};
  }
  std::shared_ptr<grpc::Channel> Channel(const rpc::Credentials& credentials,
                                         const std::string& address = "") {
    return rpc::MakeChannel(address.empty() ? server_->address() : address, credentials).value();
  }
  std::string Port() { return server_->address().substr(server_->address().rfind(':') + 1); }

  // Sends one message to any method.
  static absl::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                           const Headers& headers = {}, const std::string& message = "") {
    grpc::GenericStub stub(channel);
    CallContext context;
    for (const auto& [name, value] : headers) context.AddMetadata(name, value);
    const grpc::Slice slice(message);
    grpc::ByteBuffer request(&slice, 1), response;
    grpc::Status status;
    absl::Notification done;
    stub.UnaryCall(&context, path, grpc::StubOptions(), &request, &response,
                   [&](grpc::Status ended) {
                     status = std::move(ended);
                     done.Notify();
                   });
    done.WaitForNotification();
    return rpc::FromGrpc(status);
  }

  ::testing::NiceMock<core::MockCoordinator> core_;
  testing::FakeClock clock_;
  testing::TempDir dir_;
  const std::string root_ = dir_.Join("root");
  security::Validity valid_;
  security::KeyPair authority_, server_pair_;
  std::string ca_;
  security::TokenTable table_;
  std::map<security::Role, std::string> tokens_, token_files_;
  std::unique_ptr<security::TokenRegistry> registry_;
  std::unique_ptr<Server> server_;
};

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_SECURED_H_
