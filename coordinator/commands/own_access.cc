#include "coordinator/commands/own_access.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"
#include "common/rpc/access_file.h"
#include "common/rpc/channel.h"
#include "coordinator/commands/init_tls.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/security/certificate_watch.h"
#include "coordinator/security/certificates.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/service/listen_address.h"

namespace coppice::commands {
namespace {

constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

std::string Folder(const OwnAccess& own) { return JoinPath(own.data_dir, kAccessFolder); }

bool IsWildcard(const std::string& host) {
  return host == "0.0.0.0" || host == "[::]" || host == "*";
}

// The resolver's name for this machine; empty if it has none. May query the network.
std::string CanonicalName(const std::string& host) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_CANONNAME;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  return found->ai_canonname == nullptr ? "" : found->ai_canonname;
}

// The name by which other machines reach this one.
std::string NetworkName(const OwnAccess& own) {
  if (!own.hosts.empty()) return own.hosts.front();
  const std::string name = CanonicalName(HostName());
  return name.empty() || !security::CheckHost(name).ok() || name == "localhost" ? HostName() : name;
}

// Host names for the certificate, besides those of the loopback.
std::vector<std::string> CertificateHosts(const OwnAccess& own) {
  std::vector<std::string> hosts = own.hosts;
  const auto add = [&hosts](std::string host) {
    if (absl::StartsWith(host, "[")) host = host.substr(1, host.size() - 2);
    if (!security::CheckHost(host).ok()) return;
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
  };
  add(HostName());
  if (own.listen.empty() || rpc::IsLoopback(own.listen)) return hosts;
  add(NetworkName(own));
  const auto listen = service::ParseListenAddress(own.listen);
  if (listen.ok() && !IsWildcard(listen->host)) add(listen->host);
  return hosts;
}

// The address for clients of a server that listens on `listening`.
std::string CallAddress(const OwnAccess& own, const std::string& listening) {
  if (rpc::IsLoopback(listening)) return listening;
  const auto listen = service::ParseListenAddress(listening);
  if (!listen.ok() || (!IsWildcard(listen->host) && own.hosts.empty())) return listening;
  const std::string name = NetworkName(own);
  return absl::StrContains(name, ':') ? absl::StrCat("[", name, "]:", listen->port)
                                      : absl::StrCat(name, ":", listen->port);
}

bool IsOurs(const rpc::AccessFile& file, const OwnAccess& own) {
  if (file.host == HostName() && file.data_dir == own.data_dir) return true;
  const auto authority = ReadFile(JoinPath(Folder(own), kAuthorityCertificate));
  return authority.ok() && *authority == file.authority;
}

absl::Status Foreign(const rpc::AccessFile& file, const OwnAccess& own) {
  const std::string whose =
      file.data_dir.empty()
          ? absl::StrCat("the coordinator at ", file.address)
          : absl::StrCat("the coordinator with the data folder ", file.data_dir, " on ", file.host);
  return absl::FailedPreconditionError(absl::StrCat(
      "the access file ", own.file, " is for ", whose,
      ", and this is another coordinator; give this one a file of its own by --access FILE (its "
      "clients and workers take the same flag, or COPPICE_ACCESS), or remove the file when that "
      "coordinator is no more"));
}

// Checks that nobody else can put certificates or tokens there.
absl::Status CheckFolder(const std::string& folder) {
  struct stat info;
  if (::lstat(folder.c_str(), &info) != 0) return ErrnoToStatus(errno, "cannot use " + folder);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder, " is no folder; remove it, and the coordinator makes its certificates there"));
  }
  if ((info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & kOthersMayWrite) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "others may change ", folder, ", where the coordinator's keys are; run `chmod 700 ", folder,
        "`, and remove it when somebody may have done so: the coordinator makes new ones"));
  }
  return absl::OkStatus();
}

bool IsDue(const security::CertificateInfo& info, absl::Time now) {
  return now - info.from > (info.until - info.from) / 2 ||
         info.until - now < security::kCertificateEndsSoon;
}

absl::StatusOr<bool> NeedsRenewal(const std::string& folder, const std::vector<std::string>& hosts,
                                  absl::Time now) {
  COPPICE_ASSIGN_OR_RETURN(const std::string server_pem,
                           ReadFile(JoinPath(folder, kServerCertificate)));
  COPPICE_ASSIGN_OR_RETURN(const auto server, security::ReadCertificate(server_pem));
  const auto client_pem = ReadFile(JoinPath(folder, kClientCertificate));
  if (absl::IsNotFound(client_pem.status())) return true;
  COPPICE_RETURN_IF_ERROR(client_pem.status());
  COPPICE_ASSIGN_OR_RETURN(const auto client, security::ReadCertificate(*client_pem));
  const bool named = std::all_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
    return std::find(server.hosts.begin(), server.hosts.end(), host) != server.hosts.end();
  });
  return !named || IsDue(server, now) || IsDue(client, now);
}

// The token in the folder's file if the coordinator accepts it, otherwise the one from the old
// access file. Empty if it accepts neither.
absl::StatusOr<std::string> OwnersToken(const std::string& folder, const char* role,
                                        const security::TokenTable& table,
                                        const std::string& before) {
  const std::string path = JoinPath(folder, absl::StrCat(role, kTokenSuffix));
  const absl::StatusOr<std::string> read = ReadSecretFile(path);
  if (!read.ok() && !absl::IsNotFound(read.status())) return read.status();
  const std::string token(absl::StripAsciiWhitespace(read.value_or("")));
  for (const std::string& candidate : {token, before}) {
    if (table.Find(candidate) != nullptr) return candidate;
  }
  spdlog::warn(
      "the access file holds no {}'s token, since {} holds none that is accepted; `rm -f {}; "
      "coppice-coordinator --data-dir {} token add NAME --role {} --out {}`, then start again",
      role, path, path, folder.substr(0, folder.rfind('/')), role, path);
  return "";
}

absl::StatusOr<rpc::AccessFile> Compose(const OwnAccess& own, const std::string& listening,
                                        const rpc::AccessFile& before) {
  const std::string folder = Folder(own);
  rpc::AccessFile file;
  file.address = CallAddress(own, listening);
  file.host = HostName();
  file.data_dir = own.data_dir;
  COPPICE_ASSIGN_OR_RETURN(file.authority, ReadFile(JoinPath(folder, kAuthorityCertificate)));
  COPPICE_ASSIGN_OR_RETURN(file.certificate, ReadFile(JoinPath(folder, kClientCertificate)));
  COPPICE_ASSIGN_OR_RETURN(file.key, ReadSecretFile(JoinPath(folder, kClientKey)));
  COPPICE_ASSIGN_OR_RETURN(const auto info, security::ReadCertificate(file.certificate));
  file.until = info.until;
  COPPICE_ASSIGN_OR_RETURN(const security::TokenTable table,
                           security::LoadTokens(JoinPath(folder, kTokens)));
  COPPICE_ASSIGN_OR_RETURN(file.operator_token,
                           OwnersToken(folder, "operator", table, before.operator_token));
  COPPICE_ASSIGN_OR_RETURN(file.worker_token,
                           OwnersToken(folder, "worker", table, before.worker_token));
  return file;
}

}  // namespace

absl::Status CheckAccessFile(const OwnAccess& own) {
  const absl::StatusOr<rpc::AccessFile> file = rpc::ReadAccessFile(own.file);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  if (!file.ok()) {
    return absl::Status(file.status().code(),
                        absl::StrCat(file.status().message(),
                                     "; or name another file by --access FILE, which its clients "
                                     "and workers take, too"));
  }
  return IsOurs(*file, own) ? absl::OkStatus() : Foreign(*file, own);
}

absl::StatusOr<SecurityFlags> MakeOwnAccess(const OwnAccess& own, Clock* clock) {
  const std::string folder = Folder(own);
  InitTlsOptions options;
  options.dir = folder;
  options.hosts = CertificateHosts(own);
  options.client = true;
  struct stat info;
  if (::lstat(folder.c_str(), &info) != 0 && errno == ENOENT) {
    COPPICE_RETURN_IF_ERROR(InitTls(options, clock));
    spdlog::info("made an authority, certificates and tokens in {}", folder);
  }
  COPPICE_RETURN_IF_ERROR(CheckFolder(folder));
  COPPICE_ASSIGN_OR_RETURN(const bool renew, NeedsRenewal(folder, options.hosts, clock->Now()));
  if (renew) {
    options.renew = true;
    const absl::Status renewed = InitTls(options, clock);
    // The authority's key may be kept elsewhere. An expired certificate is refused later.
    if (!renewed.ok() && !absl::IsNotFound(renewed)) return renewed;
    if (renewed.ok()) {
      spdlog::info("signed new certificates in {}", folder);
    } else {
      spdlog::warn("the certificates in {} cannot be renewed: {}", folder,
                   std::string(renewed.message()));
    }
  }
  SecurityFlags flags;
  flags.tls_dir = folder;
  flags.require_client_cert = true;
  return flags;
}

std::vector<std::string> Addresses(const OwnAccess& own) {
  if (!own.listen.empty()) return {own.listen};
  std::vector<std::string> addresses;
  const auto last = ReadFile(JoinPath(Folder(own), kAddressFile));
  if (last.ok() && absl::StartsWith(*last, "127.0.0.1:")) {
    addresses.emplace_back(absl::StripAsciiWhitespace(*last));
  }
  addresses.push_back(absl::StrCat("127.0.0.1:", rpc::kDefaultPort));
  // Another account's coordinator may use the default port. The access file gives clients the
  // actual one.
  addresses.emplace_back("127.0.0.1:0");
  return addresses;
}

absl::Status PublishAccess(const OwnAccess& own, const std::string& listening) {
  absl::StatusOr<rpc::AccessFile> before = rpc::ReadAccessFile(own.file);
  const bool there = !absl::IsNotFound(before.status());
  if (!there) before = rpc::AccessFile();
  COPPICE_RETURN_IF_ERROR(before.status());
  if (there && !IsOurs(*before, own)) return Foreign(*before, own);
  COPPICE_ASSIGN_OR_RETURN(const rpc::AccessFile file, Compose(own, listening, *before));
  COPPICE_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(Folder(own), kAddressFile), file.address + "\n"));
  const std::string text = rpc::SerializeAccess(file);
  if (there) return ReplaceSecretFile(own.file, text);
  const size_t slash = own.file.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    COPPICE_RETURN_IF_ERROR(MakePrivateDirectories(own.file.substr(0, slash)));
  }
  // If two coordinators start for the first time at once, only one gets the file.
  const absl::Status created = CreateSecretFile(own.file, text);
  return absl::IsAlreadyExists(created) ? CheckAccessFile(own) : created;
}

}  // namespace coppice::commands
