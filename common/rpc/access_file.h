// The file with which an account's clients and workers find a coordinator and authenticate to it.
#ifndef COPPICE_COMMON_RPC_ACCESS_FILE_H_
#define COPPICE_COMMON_RPC_ACCESS_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::rpc {

// The content of the file, which is JSON. It has one token per role; empty tokens are omitted.
struct AccessFile {
  std::string address;      // of the coordinator: HOST:PORT or unix:PATH
  std::string authority;    // PEM: the authority that signed the coordinator's certificate
  std::string certificate;  // PEM: the client's own
  std::string key;          // PEM, secret
  absl::Time until;         // the end of that certificate
  std::string operator_token, viewer_token, worker_token;  // secret
  // The place of the coordinator's data. Empty in a file that was exported for others.
  std::string host, data_dir;
};

// The kind of caller. Clients present an operator's or a viewer's token, workers a worker's token.
enum class Caller { kClient, kWorker };
// FAILED_PRECONDITION: the file has no token for this caller. `path` is for the message.
absl::StatusOr<std::string> TokenFor(const AccessFile& access, Caller caller,
                                     const std::string& path);

std::string SerializeAccess(const AccessFile& access);
// INVALID_ARGUMENT: not an access file, or one of a later version. The message never quotes `text`.
absl::StatusOr<AccessFile> ParseAccess(absl::string_view text);

// Reads an access file. It must belong to this account or to root, nobody else may write it, and
// not everybody may read it; otherwise FAILED_PRECONDITION, with the remedy. INVALID_ARGUMENT: not
// an access file. Otherwise the codes of files.h. Messages name the path, never a secret.
absl::StatusOr<AccessFile> ReadAccessFile(const std::string& path);

// $XDG_CONFIG_HOME/coppice/access.json, by default ~/.config/coppice/access.json. The codes of
// ConfigHome.
absl::StatusOr<std::string> DefaultAccessPath();

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_ACCESS_FILE_H_
