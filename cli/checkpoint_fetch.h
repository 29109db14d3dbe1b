// Fetches a checkpoint from the coordinator.
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
  // Opens the output file once it is known which checkpoint comes.
  std::function<absl::StatusOr<OutputFile>(const v1::Checkpoint&)> open;
  // If set, the output stream instead of a file. It takes bytes before they are checked.
  std::ostream* out = nullptr;
  // Reports the bytes so far and the total.
  std::function<void(uint64_t, uint64_t)> progress;
};

// The file appears under its name once it is complete and its size and digest are those that were
// committed. Otherwise no file appears, and an existing one is untouched. DATA_LOSS if the received
// bytes are not the committed ones; otherwise the codes of Client::FetchCheckpoint and of
// output_file.h.
absl::StatusOr<v1::Checkpoint> FetchCheckpoint(Client* client, const FetchOptions& options);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CHECKPOINT_FETCH_H_
