// Files that hold a secret: private keys, bearer tokens, the coordinator's table of token hashes.
#ifndef COPPICE_COMMON_BASE_SECRET_FILE_H_
#define COPPICE_COMMON_BASE_SECRET_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// Nothing that is a key, a token or a table of them comes near this size.
inline constexpr size_t kMaxSecretBytes = 1 << 20;

// Reads a secret that others cannot read or change. FAILED_PRECONDITION, with the chmod that
// repairs it, when everybody may read it or anybody but its owner may write it; reading by its
// group is allowed, for a lab that shares one file. INVALID_ARGUMENT when it is no regular file or
// too large; else the codes of files.h. The content is in no message.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

// Creates a file that only its owner may read, durably and in one step, and never replaces one:
// ALREADY_EXISTS.
absl::Status CreateSecretFile(const std::string& path, absl::string_view content);

// The same, in place of what is there: a reader sees the old content or the new one.
absl::Status ReplaceSecretFile(const std::string& path, absl::string_view content);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_SECRET_FILE_H_
