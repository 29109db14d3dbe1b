// The server of the fakes, and the run of a command against it.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <cstdlib>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/app.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/rpc/access_file.h"
#include "coordinator/security/certificates.h"
#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {

FakeCoordinator::FakeCoordinator() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const absl::Time now = absl::Now();
  const security::Validity valid = {now - absl::Hours(1), now + absl::Hours(24 * 30)};
  const auto authority = security::MakeAuthority("fake authority", valid).value();
  const auto own = security::IssueServerCertificate(authority, {"127.0.0.1"}, valid).value();
  const auto client = security::IssueClientCertificate(authority, "client", valid).value();
  int tls_port = 0;
  grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  ssl.pem_key_cert_pairs.push_back({own.key, own.certificate});
  ssl.pem_root_certs = authority.certificate;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(ssl), &tls_port);
  builder.RegisterService(&service_);
  builder.RegisterService(&pools_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
  address_ = absl::StrCat("127.0.0.1:", port);
  tls_address_ = absl::StrCat("127.0.0.1:", tls_port);
  rpc::AccessFile access;
  access.address = tls_address_;
  access.authority = authority.certificate;
  access.certificate = client.certificate;
  access.key = client.key;
  access.until = valid.until;
  access.operator_token = access.worker_token = "coppice_fake";
  access_ = rpc::SerializeAccess(access);
}

FakeCoordinator::~FakeCoordinator() { server_->Shutdown(); }

std::vector<std::string> FakeCoordinator::AccessFlags(const std::string& folder) const {
  const std::string path = JoinPath(folder, "fake-access.json");
  if (!ReplaceSecretFile(path, access_).ok()) std::abort();
  return {"--access", path, "--coordinator", tls_address_};
}

CliResult RunCommand(const std::string& coordinator, std::vector<std::string> args) {
  ::setenv("COPPICE_COORDINATOR", coordinator.c_str(), 1);
  ::setenv("COPPICE_INSECURE", "1", 1);
  std::ostringstream out;
  std::ostringstream err;
  const int code = RunCli(args, out, err, Terminal());
  std::string errors = err.str();
  const absl::string_view warning = "coppice: warning: --insecure: ";
  if (absl::StartsWith(errors, warning)) errors.erase(0, errors.find('\n') + 1);
  return {code, out.str(), std::move(errors)};
}

}  // namespace coppice::cli
