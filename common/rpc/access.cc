#include "common/rpc/access.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"

namespace coppice::rpc {
namespace {

constexpr absl::Duration kWarnBeforeEnd = absl::Hours(24 * 14);

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool HasOwn(const Credentials& own) {
  return !own.tls_ca.empty() || !own.tls_cert.empty() || !own.tls_key.empty() ||
         !own.token_file.empty() || !own.token.empty();
}

std::string DefaultAddress() { return absl::StrCat("127.0.0.1:", kDefaultPort); }

absl::Status CheckTogether(const AccessFlags& flags, bool own) {
  const char* const others =
      "--tls-ca, --tls-cert, --tls-key, --token-file, COPPICE_TOKEN (or a variable of theirs)";
  if (!flags.access.empty() && flags.insecure) {
    return absl::InvalidArgumentError("--access and --insecure exclude each other; give one");
  }
  if (!flags.access.empty() && own) {
    return absl::InvalidArgumentError(
        absl::StrCat("--access FILE holds all that is needed; leave it out, or else ", others));
  }
  if (flags.insecure && own) {
    return absl::InvalidArgumentError(
        absl::StrCat("--insecure shows nothing to anybody; leave it out, or else ", others));
  }
  return absl::OkStatus();
}

absl::Status NoAccess(const std::string& path, const std::string& address) {
  return absl::NotFoundError(
      absl::StrCat("there is no access file ", path, ", so nothing says ",
                   address.empty() ? std::string("where the coordinator is and how to get in")
                                   : absl::StrCat("how to get in at ", address),
                   "; start `coppice-coordinator` under this account, or name a file that `coppice "
                   "access export` "
                   "made by --access FILE or ",
                   kAccessVariable,
                   "; a coordinator that was started with --insecure wants --insecure here, too"));
}

absl::StatusOr<Access> FromFile(const std::string& path, const AccessFlags& flags, Caller caller) {
  const absl::StatusOr<AccessFile> file = ReadAccessFile(path);
  if (absl::IsNotFound(file.status())) return NoAccess(path, flags.coordinator);
  COPPICE_RETURN_IF_ERROR(file.status());
  COPPICE_RETURN_IF_ERROR(TokenFor(*file, caller, path).status());
  const absl::Time now = Clock::Real()->Now();
  const std::string end = absl::StrCat(
      " on ", absl::FormatTime("%Y-%m-%d", file->until, absl::UTCTimeZone()), "; ",
      file->data_dir.empty() ? "ask the coordinator's owner for a new one (`coppice access export`)"
                             : "start `coppice-coordinator` again, which renews it");
  if (now >= file->until) {
    return absl::FailedPreconditionError(absl::StrCat("the access file ", path, " ended", end));
  }
  Access access;
  access.address = flags.coordinator.empty() ? file->address : flags.coordinator;
  access.credentials.access_file = path;
  access.credentials.caller = caller;
  access.file = path;
  if (file->until - now < kWarnBeforeEnd) {
    access.warning = absl::StrCat("the access file ", path, " ends", end);
  }
  return access;
}

}  // namespace

absl::StatusOr<Access> ResolveAccess(const AccessFlags& flags, Caller caller) {
  const bool own = HasOwn(flags.credentials);
  COPPICE_RETURN_IF_ERROR(CheckTogether(flags, own));
  if (!flags.access.empty()) return FromFile(flags.access, flags, caller);
  Access access;
  access.address = flags.coordinator.empty() ? DefaultAddress() : flags.coordinator;
  if (own) {
    access.credentials = flags.credentials;
    return access;
  }
  const std::string insecure = Variable(kInsecureVariable);
  if (flags.insecure || (!insecure.empty() && insecure != "0")) {
    access.warning = absl::StrCat("--insecure: what goes to and comes from ", access.address,
                                  " is neither encrypted nor authenticated; whoever listens there "
                                  "is taken for the coordinator");
    return access;
  }
  const std::string named = Variable(kAccessVariable);
  if (!named.empty()) return FromFile(named, flags, caller);
  COPPICE_ASSIGN_OR_RETURN(const std::string path, DefaultAccessPath());
  return FromFile(path, flags, caller);
}

}  // namespace coppice::rpc
