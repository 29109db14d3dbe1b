#include "coordinator/commands/init_tls.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/security/certificates.h"
#include "coordinator/security/tokens.h"

namespace coppice::commands {
namespace {

constexpr int kAuthorityDays = 3650;
constexpr int kMaxDays = 3650;

security::Validity ValidFor(int days, Clock* clock) {
  return {clock->Now() - security::kClockSkew, clock->Now() + absl::Hours(24) * days};
}

// The given hosts and this machine's own, each once.
std::vector<std::string> AllHosts(const std::vector<std::string>& given) {
  std::vector<std::string> hosts = given;
  for (const char* own : {"localhost", "127.0.0.1", "::1"}) {
    if (std::find(hosts.begin(), hosts.end(), own) == hosts.end()) hosts.push_back(own);
  }
  return hosts;
}

absl::Status WritePair(const std::string& dir, const char* certificate, const char* key,
                       const security::KeyPair& pair) {
  COPPICE_RETURN_IF_ERROR(CreateSecretFile(JoinPath(dir, key), pair.key));
  return WriteFileAtomically(JoinPath(dir, certificate), pair.certificate);
}

absl::Status WriteTokens(const std::string& dir, Clock* clock) {
  security::TokenTable table;
  for (const auto role :
       {security::Role::kViewer, security::Role::kOperator, security::Role::kWorker}) {
    const std::string name(security::RoleName(role));
    COPPICE_ASSIGN_OR_RETURN(const std::string token, security::NewToken());
    COPPICE_RETURN_IF_ERROR(table.Add(name, role, clock->Now(), token));
    COPPICE_RETURN_IF_ERROR(
        CreateSecretFile(JoinPath(dir, absl::StrCat(name, kTokenSuffix)), token + "\n"));
  }
  return CreateSecretFile(JoinPath(dir, kTokens), table.Serialize());
}

absl::Status Fill(const std::string& dir, const InitTlsOptions& options, Clock* clock) {
  COPPICE_ASSIGN_OR_RETURN(
      const security::KeyPair authority,
      security::MakeAuthority(absl::StrCat("Coppice authority ", RandomId().substr(0, 8)),
                              ValidFor(std::max(kAuthorityDays, options.days), clock)));
  COPPICE_RETURN_IF_ERROR(WritePair(dir, kAuthorityCertificate, kAuthorityKey, authority));
  const security::Validity validity = ValidFor(options.days, clock);
  COPPICE_ASSIGN_OR_RETURN(
      const security::KeyPair server,
      security::IssueServerCertificate(authority, AllHosts(options.hosts), validity));
  COPPICE_RETURN_IF_ERROR(WritePair(dir, kServerCertificate, kServerKey, server));
  if (options.client) {
    COPPICE_ASSIGN_OR_RETURN(
        const security::KeyPair client,
        security::IssueClientCertificate(authority, "coppice-client", validity));
    COPPICE_RETURN_IF_ERROR(WritePair(dir, kClientCertificate, kClientKey, client));
  }
  return WriteTokens(dir, clock);
}

absl::Status Taken(const std::string& dir) {
  return absl::AlreadyExistsError(
      absl::StrCat(dir, FileExists(JoinPath(dir, kAuthorityCertificate))
                            ? absl::StrCat(" holds an authority already, and clients trust it; "
                                           "`init-tls --dir ",
                                           dir,
                                           " --renew` makes new certificates, `token add` new "
                                           "tokens, another --dir a second authority")
                            : std::string(" is there and is not empty; choose a folder that is "
                                          "not there yet with --dir DIR")));
}

absl::Status Create(const std::string& dir, const InitTlsOptions& options, Clock* clock) {
  std::error_code error;
  // "a/b/" would put the temporary folder inside the new one.
  std::string target = std::filesystem::path(dir).lexically_normal().string();
  while (target.size() > 1 && absl::EndsWith(target, "/")) target.pop_back();
  if (std::filesystem::exists(target, error) &&
      !(std::filesystem::is_directory(target, error) && std::filesystem::is_empty(target, error))) {
    return Taken(dir);
  }
  const std::string parent = std::filesystem::path(target).parent_path().string();
  if (!parent.empty()) COPPICE_RETURN_IF_ERROR(MakeDirectories(parent));
  const std::string temporary = absl::StrCat(target, ".tmp-", RandomId());
  if (::mkdir(temporary.c_str(), S_IRWXU) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot create folder ", temporary));
  }
  absl::Cleanup remove = [&] { std::filesystem::remove_all(temporary, error); };
  COPPICE_RETURN_IF_ERROR(Fill(temporary, options, clock));
  // Fails if somebody has put files into the folder meanwhile.
  if (::rename(temporary.c_str(), target.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return Taken(dir);
    return ErrnoToStatus(errno, absl::StrCat("cannot create folder ", target));
  }
  std::move(remove).Cancel();
  return SyncDirectory(parent.empty() ? "." : parent);
}

absl::StatusOr<security::KeyPair> ReadPair(const std::string& dir, const char* certificate,
                                           const char* key) {
  security::KeyPair pair;
  COPPICE_ASSIGN_OR_RETURN(pair.certificate, ReadFile(JoinPath(dir, certificate)));
  COPPICE_ASSIGN_OR_RETURN(pair.key, ReadSecretFile(JoinPath(dir, key)));
  return pair;
}

absl::Status RenewServer(const std::string& dir, const security::KeyPair& authority,
                         const InitTlsOptions& options, const security::Validity& validity) {
  COPPICE_ASSIGN_OR_RETURN(security::KeyPair server, ReadPair(dir, kServerCertificate, kServerKey));
  std::vector<std::string> hosts = AllHosts(options.hosts);
  if (options.hosts.empty()) {
    COPPICE_ASSIGN_OR_RETURN(const security::CertificateInfo old,
                             security::ReadCertificate(server.certificate));
    hosts = AllHosts(old.hosts);
  }
  COPPICE_ASSIGN_OR_RETURN(
      server, security::IssueServerCertificate(authority, hosts, validity, server.key));
  // The key stays, so one rename is the whole change.
  return WriteFileAtomically(JoinPath(dir, kServerCertificate), server.certificate);
}

absl::Status RenewClient(const std::string& dir, const security::KeyPair& authority,
                         const security::Validity& validity) {
  if (!FileExists(JoinPath(dir, kClientKey))) {
    COPPICE_ASSIGN_OR_RETURN(
        const security::KeyPair fresh,
        security::IssueClientCertificate(authority, "coppice-client", validity));
    return WritePair(dir, kClientCertificate, kClientKey, fresh);
  }
  COPPICE_ASSIGN_OR_RETURN(const std::string key, ReadSecretFile(JoinPath(dir, kClientKey)));
  COPPICE_ASSIGN_OR_RETURN(
      const security::KeyPair client,
      security::IssueClientCertificate(authority, "coppice-client", validity, key));
  return WriteFileAtomically(JoinPath(dir, kClientCertificate), client.certificate);
}

absl::Status Renew(const std::string& dir, const InitTlsOptions& options, Clock* clock) {
  const auto authority = ReadPair(dir, kAuthorityCertificate, kAuthorityKey);
  if (absl::IsNotFound(authority.status())) {
    return absl::NotFoundError(absl::StrCat(dir, " holds no authority to renew with (",
                                            authority.status().message(),
                                            "); leave --renew out to make one"));
  }
  if (!authority.ok()) return authority.status();
  const security::Validity validity = ValidFor(options.days, clock);
  COPPICE_RETURN_IF_ERROR(RenewServer(dir, *authority, options, validity));
  if (options.client || FileExists(JoinPath(dir, kClientKey))) {
    COPPICE_RETURN_IF_ERROR(RenewClient(dir, *authority, validity));
  }
  return absl::OkStatus();
}

void Tell(const std::string& dir, const InitTlsOptions& options) {
  const auto line = [&dir](const char* file, const char* what) {
    std::printf("  %-40s %s\n", JoinPath(dir, file).c_str(), what);
  };
  std::printf("%s %s:\n", options.renew ? "Renewed the certificates in" : "Made", dir.c_str());
  line(kServerCertificate, "the coordinator's; stays here");
  if (options.client) {
    line(kClientCertificate, "with client-key.pem to clients and workers (--tls-cert, --tls-key)");
  }
  if (!options.renew) {
    line(kAuthorityCertificate, "to every client and worker: --tls-ca FILE");
    line(kAuthorityKey, "secret: signs certificates; stays here, better still offline");
    line(kTokens, "hashes of the tokens; stays here");
    line("viewer.token", "secret: to people who only look: --token-file FILE");
    line("operator.token", "secret: to people who submit and cancel");
    line("worker.token", "secret: to the workers' machines");
  }
  if (options.renew) {
    std::printf(
        "A coordinator that runs takes them on SIGHUP (`kill -HUP PID`, `systemctl reload "
        "coppice-coordinator`), without a restart.\n");
  } else {
    std::printf("Start: coppice-coordinator --listen 0.0.0.0:7070 --tls-dir %s\n", dir.c_str());
  }
}

}  // namespace

absl::Status InitTls(const InitTlsOptions& options, Clock* clock) {
  for (const std::string& host : options.hosts) {
    const absl::Status good = security::CheckHost(host);
    if (!good.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--host '", host, "' ", good.message()));
    }
  }
  return options.renew ? Renew(options.dir, options, clock) : Create(options.dir, options, clock);
}

void AddInitTls(CLI::App* app, Clock* clock, Action* action) {
  const auto options = std::make_shared<InitTlsOptions>();
  CLI::App* const command = app->add_subcommand(
      "init-tls", "Make an authority, a server certificate and tokens in a new folder");
  command->add_option("--dir", options->dir, "The folder; must not be there yet")->required();
  command->add_option("--host", options->hosts,
                      "A name or address by which clients reach the coordinator; repeat for more "
                      "(localhost, 127.0.0.1 and ::1 are always in)");
  command->add_option("--days", options->days, "How long the certificates are valid")
      ->check(CLI::Range(1, kMaxDays))
      ->capture_default_str();
  command->add_flag("--client", options->client,
                    "Also a client certificate, for --require-client-cert");
  command->add_flag("--renew", options->renew,
                    "New certificates in an existing folder; keys and tokens stay (hosts as before "
                    "unless given). A coordinator that runs takes them on SIGHUP");
  command->callback([options, clock, action] {
    *action = [options, clock] {
      COPPICE_RETURN_IF_ERROR(InitTls(*options, clock));
      Tell(options->dir, *options);
      return absl::OkStatus();
    };
  });
}

}  // namespace coppice::commands
