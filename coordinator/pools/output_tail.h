#ifndef COPPICE_COORDINATOR_POOLS_OUTPUT_TAIL_H_
#define COPPICE_COORDINATOR_POOLS_OUTPUT_TAIL_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace coppice::pools {

// The last lines of an allocation's output, at most 8 KiB, made printable. INVALID_ARGUMENT: not a
// regular file, a symbolic link, or another account's. Blocks on the disk.
absl::StatusOr<std::string> OutputTail(const std::string& path, size_t lines);

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_OUTPUT_TAIL_H_
