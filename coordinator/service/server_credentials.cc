#include "coordinator/service/server_credentials.h"

#include <grpc/grpc.h>
#include <grpcpp/security/auth_metadata_processor.h>

#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace coppice::service {
namespace {

grpc::string_ref Text(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

// Does the same as gRPC's own C++ credentials, for core credentials without a C++ wrapper. In newer
// versions of gRPC the base class, which was abstract, does it.
template <typename Base, bool = std::is_abstract_v<Base>>
class CoreCredentials final : public Base {
 public:
  explicit CoreCredentials(grpc_server_credentials* core) : Base(core) {}
};

template <typename Base>
class CoreCredentials<Base, true> final : public Base {
 public:
  explicit CoreCredentials(grpc_server_credentials* core) : core_(core) {}
  ~CoreCredentials() override { grpc_server_credentials_release(core_); }

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& processor) override {
    auto* const state = new std::shared_ptr<grpc::AuthMetadataProcessor>(processor);
    grpc_server_credentials_set_auth_metadata_processor(core_, {Process, Destroy, state});
  }

 private:
  using Processor = std::shared_ptr<grpc::AuthMetadataProcessor>;

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), core_);
  }

  static void Destroy(void* state) { delete static_cast<Processor*>(state); }
  static void Process(void* state, grpc_auth_context*, const grpc_metadata* metadata, size_t count,
                      grpc_process_auth_metadata_done_cb done, void* call) {
    grpc::AuthMetadataProcessor::InputMetadata input;
    for (size_t i = 0; i < count; ++i) {
      input.emplace(Text(metadata[i].key), Text(metadata[i].value));
    }
    grpc::AuthMetadataProcessor::OutputMetadata consumed, response;
    const grpc::Status status =
        (*static_cast<Processor*>(state))->Process(input, nullptr, &consumed, &response);
    std::vector<grpc_metadata> taken;
    for (const auto& [key, value] : consumed) {
      grpc_metadata entry = {};
      entry.key = grpc_slice_from_static_buffer(key.data(), key.size());
      entry.value = grpc_slice_from_static_buffer(value.data(), value.size());
      taken.push_back(entry);
    }
    done(call, taken.data(), taken.size(), nullptr, 0,
         static_cast<grpc_status_code>(status.error_code()), status.error_message().c_str());
  }

  grpc_server_credentials* const core_;
};

}  // namespace

void ServedIdentity::Replace(TlsIdentity identity) {
  absl::MutexLock lock(&mutex_);
  identity_ = std::move(identity);
  taken_ = false;
}

std::shared_ptr<grpc::ServerCredentials> ServedIdentity::Credentials() {
  grpc_ssl_client_certificate_request_type clients = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
  {
    absl::MutexLock lock(&mutex_);
    if (!identity_.client_authority.empty()) {
      clients = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    taken_ = false;
  }
  // gRPC may not be initialized yet.
  grpc_init();
  auto credentials = std::make_shared<CoreCredentials<grpc::ServerCredentials>>(
      grpc_ssl_server_credentials_create_with_options(
          grpc_ssl_server_credentials_create_options_using_config_fetcher(clients, Fetch, this)));
  grpc_shutdown();
  return credentials;
}

grpc_ssl_certificate_config_reload_status ServedIdentity::Fetch(
    void* self, grpc_ssl_server_certificate_config** config) {
  return static_cast<ServedIdentity*>(self)->Take(config);
}

grpc_ssl_certificate_config_reload_status ServedIdentity::Take(
    grpc_ssl_server_certificate_config** config) {
  absl::MutexLock lock(&mutex_);
  if (taken_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair = {identity_.key.c_str(), identity_.certificate.c_str()};
  // gRPC requires some authority here. If no client certificate is required, it is never used.
  const std::string& authority =
      identity_.client_authority.empty() ? identity_.certificate : identity_.client_authority;
  *config = grpc_ssl_server_certificate_config_create(authority.c_str(), &pair, 1);
  taken_ = true;
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

}  // namespace coppice::service
