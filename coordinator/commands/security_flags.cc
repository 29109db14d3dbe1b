#include "coordinator/commands/security_flags.h"

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/regular_file.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/security/certificates.h"

namespace coppice::commands {
namespace {

// Uses the folder's files unless a flag names another.
SecurityFlags Resolve(const SecurityFlags& given) {
  SecurityFlags flags = given;
  if (flags.tls_dir.empty()) return flags;
  const auto in_dir = [&](std::string* flag, const char* file) {
    if (flag->empty()) *flag = JoinPath(flags.tls_dir, file);
  };
  in_dir(&flags.tls_cert, kServerCertificate);
  in_dir(&flags.tls_key, kServerKey);
  in_dir(&flags.tokens, kTokens);
  if (flags.require_client_cert) in_dir(&flags.tls_client_ca, kAuthorityCertificate);
  return flags;
}

absl::Status CheckTogether(const SecurityFlags& flags) {
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key go together; give both");
  }
  if (flags.require_client_cert && flags.tls_cert.empty()) {
    return absl::InvalidArgumentError(
        "--require-client-cert needs TLS; add --tls-dir DIR, or --tls-cert and --tls-key");
  }
  if (flags.require_client_cert && flags.tls_client_ca.empty()) {
    return absl::InvalidArgumentError(
        "--require-client-cert needs the clients' authority; add --tls-client-ca FILE");
  }
  if (!flags.require_client_cert && !flags.tls_client_ca.empty()) {
    return absl::InvalidArgumentError(
        "--tls-client-ca has no effect without --require-client-cert; add it");
  }
  return absl::OkStatus();
}

absl::Status About(const std::string& file, const absl::Status& status) {
  if (status.ok() || !absl::IsInvalidArgument(status)) return status;
  return absl::InvalidArgumentError(absl::StrCat(file, " ", status.message()));
}

// CertificateWatch warns of certificates that end soon.
absl::Status CheckTimes(const SecurityFlags& flags, const security::CertificateInfo& info,
                        absl::Time now) {
  const auto date = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
  };
  if (now >= info.until) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the certificate ", flags.tls_cert, " expired on ", date(info.until), "; ",
        flags.tls_dir.empty() ? std::string("put a renewed one in its place")
                              : absl::StrCat("`coppice-coordinator init-tls --dir ", flags.tls_dir,
                                             " --renew` makes a new one")));
  }
  if (now < info.from) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate ", flags.tls_cert, " is valid only from ", date(info.from),
                     " on, and clients would refuse it; wait, or set this machine's clock"));
  }
  return absl::OkStatus();
}

}  // namespace

bool Unsaid(const SecurityFlags& flags) {
  return flags.tls_dir.empty() && flags.tls_cert.empty() && flags.tls_key.empty() &&
         flags.tls_client_ca.empty() && flags.tokens.empty() && !flags.require_client_cert;
}

void AddSecurityFlags(CLI::App* app, SecurityFlags* flags) {
  app->add_option("--tls-dir", flags->tls_dir,
                  "A folder that `init-tls` made: serve TLS with its certificate and ask for its "
                  "tokens. With this flag or one of the next, no access file is written");
  app->add_option("--tls-cert", flags->tls_cert, "Certificate (PEM) to serve TLS with");
  app->add_option("--tls-key", flags->tls_key, "Its private key (PEM, mode 0600)");
  app->add_flag("--require-client-cert", flags->require_client_cert,
                "Mutual TLS: refuse connections without a client certificate");
  app->add_option("--tls-client-ca", flags->tls_client_ca,
                  "Authority (PEM) of the client certificates (default: the folder's own)");
  app->add_option("--tokens", flags->tokens,
                  "Token file: ask every caller for a token (default: the folder's own)");
}

absl::Status LoadTls(const SecurityFlags& files, Clock* clock, service::ServerSecurity* server) {
  COPPICE_ASSIGN_OR_RETURN(server->certificate, ReadRegularFile(files.tls_cert, kMaxPemBytes));
  COPPICE_ASSIGN_OR_RETURN(server->key, ReadSecretFile(files.tls_key));
  COPPICE_RETURN_IF_ERROR(About(files.tls_cert, security::CheckChain(server->certificate)));
  const auto info = security::ReadCertificate(server->certificate);
  COPPICE_RETURN_IF_ERROR(About(files.tls_cert, info.status()));
  COPPICE_RETURN_IF_ERROR(CheckTimes(files, *info, clock->Now()));
  COPPICE_RETURN_IF_ERROR(
      About(files.tls_key, security::CheckKeyFits({server->certificate, server->key})));
  if (!files.require_client_cert) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(server->client_authority,
                           ReadRegularFile(files.tls_client_ca, kMaxPemBytes));
  return About(files.tls_client_ca, security::CheckChain(server->client_authority));
}

absl::StatusOr<LoadedSecurity> LoadSecurity(const SecurityFlags& given, Clock* clock) {
  const SecurityFlags flags = Resolve(given);
  COPPICE_RETURN_IF_ERROR(CheckTogether(flags));
  LoadedSecurity loaded;
  loaded.files = flags;
  if (!flags.tls_cert.empty()) COPPICE_RETURN_IF_ERROR(LoadTls(flags, clock, &loaded.server));
  if (!flags.tokens.empty()) {
    COPPICE_ASSIGN_OR_RETURN(loaded.tokens, security::TokenRegistry::Open(flags.tokens, clock));
    loaded.server.tokens = loaded.tokens.get();
  }
  return loaded;
}

}  // namespace coppice::commands
