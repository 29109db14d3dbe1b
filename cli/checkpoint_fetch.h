// Brings a checkpoint from the coordinator into a file.
#ifndef COPPICE_CLI_CHECKPOINT_FETCH_H_
#define COPPICE_CLI_CHECKPOINT_FETCH_H_

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "common/base/output_file.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

struct FetchOptions {
  uint64_t job_id = 0;
  std::optional<uint32_t> step;  // unset: the current one
  // Where the bytes go, once it is known which checkpoint comes: a file that is not yet complete...
  std::function<absl::StatusOr<OutputFile>(const v1::Checkpoint&)> open;
  // ... or, in its place, a stream, which takes them before they are checked.
  std::ostream* out = nullptr;
  // Bytes so far, of how many.
  std::function<void(uint64_t, uint64_t)> progress;
};

// The file appears under its name when every byte is there and size and digest are those that were
// committed; otherwise there is none, and one that was there before is untouched. DATA_LOSS when
// what came is not what was committed; codes of Client::FetchCheckpoint and of output_file.h.
absl::StatusOr<v1::Checkpoint> FetchCheckpoint(Client* client, const FetchOptions& options);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CHECKPOINT_FETCH_H_
