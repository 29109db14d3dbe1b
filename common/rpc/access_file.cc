#include "common/rpc/access_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"

namespace coppice::rpc {
namespace {

constexpr char kFormat[] = "coppice-access";
constexpr int kVersion = 1;
constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";
constexpr char kName[] = "access.json";

// The string member `name`; empty if there is none.
std::string Text(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("is not an access file (", what,
                   "); take one that `coppice-coordinator` or `coppice access export` wrote"));
}

bool IsPem(const std::string& text, absl::string_view what) {
  const absl::string_view first = absl::string_view(text).substr(0, text.find('\n'));
  return absl::StartsWith(first, "-----BEGIN ") &&
         absl::EndsWith(first, absl::StrCat(what, "-----"));
}

absl::Status CheckOwner(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, "cannot read " + path);
  if (info.st_uid == ::geteuid() || info.st_uid == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, " belongs to another account (number ", info.st_uid,
      "), which could lead you to a coordinator of its own; copy it to a file of yours "
      "if you trust it"));
}

}  // namespace

absl::StatusOr<std::string> TokenFor(const AccessFile& access, Caller caller,
                                     const std::string& path) {
  if (caller == Caller::kWorker) {
    if (!access.worker_token.empty()) return access.worker_token;
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " is not for workers; `coppice access export --role worker FILE`, by the "
                     "coordinator's owner, makes one that is"));
  }
  if (!access.operator_token.empty()) return access.operator_token;
  if (!access.viewer_token.empty()) return access.viewer_token;
  return absl::FailedPreconditionError(
      absl::StrCat(path,
                   " is for workers; `coppice access export --role viewer FILE`, by the "
                   "coordinator's owner, makes one to look with"));
}

std::string SerializeAccess(const AccessFile& access) {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["version"] = kVersion;
  json["address"] = access.address;
  json["until"] = absl::FormatTime(kTimeFormat, access.until, absl::UTCTimeZone());
  if (!access.data_dir.empty()) {
    json["host"] = access.host;
    json["data_dir"] = access.data_dir;
  }
  json["authority"] = access.authority;
  json["certificate"] = access.certificate;
  json["key"] = access.key;
  json["tokens"] = nlohmann::ordered_json::object();
  const auto token = [&json](const char* role, const std::string& value) {
    if (!value.empty()) json["tokens"][role] = value;
  };
  token("operator", access.operator_token);
  token("viewer", access.viewer_token);
  token("worker", access.worker_token);
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<AccessFile> ParseAccess(absl::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object() || Text(json, "format") != kFormat) return Wrong("of another form");
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_unsigned()) return Wrong("without a version");
  if (version->get<uint64_t>() != kVersion) {
    return absl::InvalidArgumentError(
        "is an access file of another version; use the programs of that version, or let its "
        "coordinator write it again");
  }
  AccessFile access;
  access.address = Text(json, "address");
  access.host = Text(json, "host");
  access.data_dir = Text(json, "data_dir");
  access.authority = Text(json, "authority");
  access.certificate = Text(json, "certificate");
  access.key = Text(json, "key");
  if (access.address.empty()) return Wrong("without an address");
  if (!IsPem(access.authority, "CERTIFICATE") || !IsPem(access.certificate, "CERTIFICATE") ||
      !IsPem(access.key, "PRIVATE KEY")) {
    return Wrong("without certificates");
  }
  std::string error;
  if (!absl::ParseTime(kTimeFormat, Text(json, "until"), absl::UTCTimeZone(), &access.until,
                       &error)) {
    return Wrong("without an end");
  }
  const auto tokens = json.find("tokens");
  if (tokens == json.end() || !tokens->is_object()) return Wrong("without tokens");
  access.operator_token = Text(*tokens, "operator");
  access.viewer_token = Text(*tokens, "viewer");
  access.worker_token = Text(*tokens, "worker");
  return access;
}

absl::StatusOr<AccessFile> ReadAccessFile(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadSecretFile(path));
  COPPICE_RETURN_IF_ERROR(CheckOwner(path));
  absl::StatusOr<AccessFile> access = ParseAccess(text);
  if (access.ok()) return access;
  return absl::Status(access.status().code(), absl::StrCat(path, " ", access.status().message()));
}

absl::StatusOr<std::string> DefaultAccessPath() {
  COPPICE_ASSIGN_OR_RETURN(const std::string folder, ConfigHome());
  return JoinPath(folder, kName);
}

}  // namespace coppice::rpc
