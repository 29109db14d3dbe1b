// Files that hold a secret: private keys, bearer tokens, the coordinator's table of token hashes.
#ifndef COPPICE_COMMON_BASE_SECRET_FILE_H_
#define COPPICE_COMMON_BASE_SECRET_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// An upper bound. No key, token or table of tokens comes near this size.
inline constexpr size_t kMaxSecretBytes = 1 << 20;

// Reads a secret that others can neither read nor change. FAILED_PRECONDITION, with the chmod that
// repairs it: everybody may read the file, or somebody besides its owner may write it. Its group
// may read it, for a lab that shares one file. INVALID_ARGUMENT: not a regular file, or too large.
// Otherwise the codes of files.h. No message contains the content.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

// Creates a file that only its owner may read, durably and atomically. Never replaces a file:
// ALREADY_EXISTS.
absl::Status CreateSecretFile(const std::string& path, absl::string_view content);

// The same, but replaces an existing file. A reader sees either the old content or the new one.
absl::Status ReplaceSecretFile(const std::string& path, absl::string_view content);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_SECRET_FILE_H_
