// Brings a checkpoint from the coordinator into a file.
#ifndef COPPICE_CLI_CHECKPOINT_FETCH_H_
#define COPPICE_CLI_CHECKPOINT_FETCH_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

struct FetchOptions {
  uint64_t job_id = 0;
  std::optional<uint32_t> step;  // unset: the current one
  bool replace = false;          // a file of this name
  // The file's path, once it is known which checkpoint comes.
  std::function<absl::StatusOr<std::string>(const v1::Checkpoint&)> path;
  // Bytes so far, of how many.
  std::function<void(uint64_t, uint64_t)> progress;
};

struct FetchedCheckpoint {
  std::string path;
  v1::Checkpoint checkpoint;
};

// The file appears under its name when every byte is there and size and digest are those that were
// committed; otherwise there is none, and one that was there before is untouched. ALREADY_EXISTS
// without `replace`; DATA_LOSS when what came is not what was committed; codes of
// Client::FetchCheckpoint and of files.h.
absl::StatusOr<FetchedCheckpoint> FetchCheckpoint(Client* client, const FetchOptions& options);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CHECKPOINT_FETCH_H_
