#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "common/rpc/access_file.h"
#include "common/rpc/channel.h"
#include "coordinator/commands/own_access.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/commands/token.h"
#include "coordinator/security/certificates.h"
#include "coordinator/security/tokens.h"

namespace coppice::commands {
namespace {

constexpr absl::Duration kValid = absl::Hours(24 * 365);
constexpr size_t kSuffixDigits = 6;

struct AccessExportFlags {
  std::string role, name, file;
};

absl::StatusOr<std::string> AddressOf(const std::string& folder) {
  const absl::StatusOr<std::string> address = ReadFile(JoinPath(folder, kAddressFile));
  if (!absl::IsNotFound(address.status())) return address;
  return absl::NotFoundError(
      absl::StrCat(folder,
                   " holds no access that a coordinator made by itself; start the "
                   "coordinator of this data folder once without flags about security, or "
                   "name its folder by --data-dir DIR"));
}

absl::StatusOr<rpc::AccessFile> Compose(const std::string& folder, const std::string& name,
                                        Clock* clock) {
  rpc::AccessFile file;
  COPPICE_ASSIGN_OR_RETURN(const std::string address, AddressOf(folder));
  file.address = std::string(absl::StripAsciiWhitespace(address));
  security::KeyPair authority;
  COPPICE_ASSIGN_OR_RETURN(authority.certificate,
                           ReadFile(JoinPath(folder, kAuthorityCertificate)));
  COPPICE_ASSIGN_OR_RETURN(authority.key, ReadSecretFile(JoinPath(folder, kAuthorityKey)));
  const absl::Time now = clock->Now();
  file.until = now + kValid;
  COPPICE_ASSIGN_OR_RETURN(
      const security::KeyPair client,
      security::IssueClientCertificate(authority, "coppice-" + name,
                                       {now - security::kClockSkew, file.until}));
  file.authority = authority.certificate;
  file.certificate = client.certificate;
  file.key = client.key;
  return file;
}

absl::Status Export(const std::string& data_dir, const AccessExportFlags& flags, Clock* clock) {
  COPPICE_ASSIGN_OR_RETURN(const security::Role role, security::ParseRole(flags.role));
  if (role == security::Role::kOperator) {
    return absl::InvalidArgumentError(
        "an access file to hand on is for a worker or a viewer; for somebody who is to "
        "change sweeps run `coppice-coordinator token add NAME --role operator`");
  }
  const std::string name = flags.name.empty()
                               ? absl::StrCat(flags.role, "-", RandomId().substr(0, kSuffixDigits))
                               : flags.name;
  COPPICE_RETURN_IF_ERROR(security::CheckTokenName(name));
  const std::string folder = JoinPath(data_dir, kAccessFolder);
  COPPICE_ASSIGN_OR_RETURN(rpc::AccessFile file, Compose(folder, name, clock));
  COPPICE_RETURN_IF_ERROR(AddTokenTo(
      JoinPath(folder, kTokens), name, role, flags.file, clock, [&](const std::string& token) {
        (role == security::Role::kWorker ? file.worker_token : file.viewer_token) = token;
        return rpc::SerializeAccess(file);
      }));
  std::printf(
      "Made %s for the coordinator at %s, role %s, until %s. It is as good as a password: hand it "
      "on encrypted, and keep it at mode 0600; there it goes to ~/.config/coppice/access.json, or "
      "is named by --access FILE. `coppice-coordinator token revoke %s` takes it back.\n",
      flags.file.c_str(), file.address.c_str(), flags.role.c_str(),
      absl::FormatTime("%Y-%m-%d", file.until, absl::UTCTimeZone()).c_str(), name.c_str());
  if (rpc::IsLoopback(file.address)) {
    std::printf(
        "The coordinator listens on this machine alone; for other machines start it with --listen "
        "0.0.0.0:%d first, and export again.\n",
        rpc::kDefaultPort);
  }
  return absl::OkStatus();
}

}  // namespace

void AddAccessExport(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action) {
  const auto flags = std::make_shared<AccessExportFlags>();
  CLI::App* const access =
      app->add_subcommand("access", "Hand on access to a coordinator that made its own");
  access->require_subcommand(1);
  access->fallthrough();  // for --data-dir
  CLI::App* const command = access->add_subcommand(
      "export", "Make an access file with a certificate and a token of its own");
  command->fallthrough();
  command->add_option("FILE", flags->file, "The new file")->required();
  command->add_option("--role", flags->role, "worker or viewer")->required();
  command->add_option("--name", flags->name, "Whose it is, for `token list` and `token revoke`");
  command->callback([=] { *action = [=] { return Export(*data_dir, *flags, clock); }; });
}

}  // namespace coppice::commands
