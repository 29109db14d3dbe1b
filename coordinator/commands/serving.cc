#include "coordinator/commands/serving.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "common/rpc/access.h"
#include "coordinator/security/certificates.h"
#include "coordinator/service/listen_address.h"

namespace coppice::commands {
namespace {

constexpr char kListen[] = "127.0.0.1:7070";

absl::StatusOr<std::string> Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(path, error);
  if (!error) return absolute.string();
  return absl::InternalError(absl::StrCat("cannot resolve ", path, ": ", error.message()));
}

absl::StatusOr<OwnAccess> OwnAccessOf(const ServingFlags& flags, const std::string& data_dir) {
  OwnAccess own;
  own.listen = flags.listen;
  own.hosts = flags.hosts;
  own.file = flags.access;
  const char* const named = std::getenv(rpc::kAccessVariable);
  if (own.file.empty() && named != nullptr) own.file = named;
  COPPICE_ASSIGN_OR_RETURN(own.data_dir, Absolute(data_dir));
  if (own.file.empty()) {
    COPPICE_ASSIGN_OR_RETURN(own.file, rpc::DefaultAccessPath());
  }
  COPPICE_ASSIGN_OR_RETURN(own.file, Absolute(own.file));
  if (!own.listen.empty()) {
    COPPICE_RETURN_IF_ERROR(service::ParseListenAddress(own.listen).status());
  }
  for (const std::string& host : own.hosts) {
    const absl::Status good = security::CheckHost(host);
    if (!good.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--host '", host, "' ", good.message()));
    }
  }
  COPPICE_RETURN_IF_ERROR(CheckAccessFile(own));
  return own;
}

}  // namespace

void AddServingFlags(CLI::App* app, ServingFlags* flags) {
  app->add_option("--listen", flags->listen,
                  "HOST:PORT to serve on; port 0 picks a free one (default: 127.0.0.1:7070, or a "
                  "free port where that is taken; 0.0.0.0:7070 for workers on other machines)");
  app->add_option("--access", flags->access,
                  "Where to write how this account's clients and workers get in: address, "
                  "certificates, tokens; they read COPPICE_ACCESS, too (default: "
                  "~/.config/coppice/access.json)")
      ->type_name("FILE");
  app->add_option("--host", flags->hosts,
                  "A name or address by which clients reach this machine, for the certificate and, "
                  "the first, for the access file; repeat for more (default: its own name)");
  CLI::Option* const insecure = app->add_flag(
      "--insecure", flags->insecure,
      "Encrypt nothing and ask nobody for anything, in place of the access that is made by "
      "default: "
      "every account of this machine may read and cancel every sweep. On 127.0.0.1 alone");
  app->add_flag("--insecure-anywhere", flags->insecure_anywhere,
                "With --insecure: on any address, for everybody who reaches it")
      ->needs(insecure);
  app->add_flag(
      "--keda-scaler", flags->keda_scaler,
      "Tell KEDA, Kubernetes' autoscaler, how many jobs run or wait: whoever has a client "
      "certificate may ask, without a token");
  AddSecurityFlags(app, &flags->security);
}

absl::StatusOr<Serving> Serving::Check(const ServingFlags& flags, const std::string& data_dir,
                                       Clock* clock) {
  Serving serving;
  serving.keda_scaler_ = flags.keda_scaler;
  if (!flags.insecure && Unsaid(flags.security)) {
    COPPICE_ASSIGN_OR_RETURN(serving.own_, OwnAccessOf(flags, data_dir));
    return serving;
  }
  if (!flags.access.empty() || !flags.hosts.empty()) {
    return absl::InvalidArgumentError(
        "--access and --host are for the certificates that the coordinator makes by itself; leave "
        "them out, or else --insecure and the flags about TLS and tokens");
  }
  const bool for_everybody = flags.insecure && Unsaid(flags.security);
  if (flags.keda_scaler && !for_everybody && !flags.security.require_client_cert) {
    return absl::InvalidArgumentError(
        "--keda-scaler asks for no token, so it needs client certificates: add "
        "--require-client-cert, or leave the flags about TLS and tokens out");
  }
  serving.listen_ = flags.listen.empty() ? kListen : flags.listen;
  if (flags.insecure) {
    serving.insecure_ =
        flags.insecure_anywhere ? service::Insecure::kAnywhere : service::Insecure::kThisMachine;
  }
  COPPICE_ASSIGN_OR_RETURN(serving.security_, LoadSecurity(flags.security, clock));
  const absl::Status address =
      service::Server::CheckAddress(serving.listen_, serving.insecure_, serving.security_.server);
  // The mistake is in the flags.
  if (!address.ok()) return absl::InvalidArgumentError(address.message());
  return serving;
}

absl::Status Serving::Prepare(Clock* clock) {
  if (!own_.has_value()) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const SecurityFlags made, MakeOwnAccess(*own_, clock));
  COPPICE_ASSIGN_OR_RETURN(security_, LoadSecurity(made, clock));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<service::Server>> Serving::Start(core::Coordinator* core,
                                                                Clock* clock,
                                                                const std::string& checkpoint_root,
                                                                pools::Autoscaler* pools) {
  const std::vector<std::string> addresses =
      own_.has_value() ? Addresses(*own_) : std::vector<std::string>{listen_};
  const service::ServerSecurity& served = security_.server;
  if (served.tls()) {
    certificates_ = std::make_unique<LiveCertificates>(
        security_.files, own_,
        service::TlsIdentity{served.certificate, served.key, served.client_authority}, clock);
  }
  absl::StatusOr<std::unique_ptr<service::Server>> server;
  for (const std::string& address : addresses) {
    server = service::Server::Start(core, clock,
                                    {.listen = address,
                                     .insecure = insecure_,
                                     .checkpoint_root = checkpoint_root,
                                     .security = served,
                                     .keda_scaler = keda_scaler_,
                                     .certificates =
                                         [this] {
                                           return certificates_ == nullptr
                                                      ? std::vector<security::CertificateState>()
                                                      : certificates_->states();
                                         },
                                     .pools = pools});
    if (!absl::IsAlreadyExists(server.status())) break;
  }
  COPPICE_RETURN_IF_ERROR(server.status());
  if (own_.has_value()) COPPICE_RETURN_IF_ERROR(PublishAccess(*own_, (*server)->address()));
  Tell((*server)->address());
  if (certificates_ != nullptr) certificates_->Start(server->get());
  return server;
}

void Serving::Reload() {
  if (security_.tokens != nullptr) security_.tokens->Reload();
  if (certificates_ != nullptr) certificates_->Reload();
}

void Serving::Tell(const std::string& address) const {
  if (own_.has_value()) {
    spdlog::info(
        "serving on {} (TLS, client certificates and tokens); this account's clients and "
        "workers get in by {}",
        address, own_->file);
    return;
  }
  spdlog::info("serving on {} ({}, {})", address, security_.server.tls() ? "TLS" : "no TLS",
               security_.tokens != nullptr ? "tokens" : "no tokens");
  if (insecure_ == service::Insecure::kNo) return;
  spdlog::warn(
      "--insecure: whoever reaches {} may read, change and cancel everything; start without this "
      "flag, and nobody but this account gets in",
      address);
}

}  // namespace coppice::commands
