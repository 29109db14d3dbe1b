// The file by which an account's clients and workers find a coordinator and prove who they are.
#ifndef COPPICE_COMMON_RPC_ACCESS_FILE_H_
#define COPPICE_COMMON_RPC_ACCESS_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::rpc {

// What it holds, as JSON. One token a role; an empty one is not in it.
struct AccessFile {
  std::string address;      // of the coordinator: HOST:PORT or unix:PATH
  std::string authority;    // PEM: who signed the coordinator's certificate
  std::string certificate;  // PEM: the client's own
  std::string key;          // PEM, secret
  absl::Time until;         // when that certificate ends
  std::string operator_token, viewer_token, worker_token;  // secret
  // Where the coordinator keeps its data; empty in a file that was made to hand on.
  std::string host, data_dir;
};

// Who calls: people's programs show an operator's or a viewer's token, workers a worker's.
enum class Caller { kClient, kWorker };
// FAILED_PRECONDITION when the file has none for this caller; `path` is for the message.
absl::StatusOr<std::string> TokenFor(const AccessFile& access, Caller caller,
                                     const std::string& path);

std::string SerializeAccess(const AccessFile& access);
// INVALID_ARGUMENT for what is none, or one of a later version. The message quotes nothing of it.
absl::StatusOr<AccessFile> ParseAccess(absl::string_view text);

// Reads one that belongs to this account (or root) and that nobody else may change, nor everybody
// read: FAILED_PRECONDITION with the remedy otherwise. INVALID_ARGUMENT for what is no access file;
// else the codes of files.h. Messages name the path, never a secret.
absl::StatusOr<AccessFile> ReadAccessFile(const std::string& path);

// $XDG_CONFIG_HOME/coppice/access.json, by default ~/.config/coppice/access.json. The codes of
// ConfigHome.
absl::StatusOr<std::string> DefaultAccessPath();

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_ACCESS_FILE_H_
