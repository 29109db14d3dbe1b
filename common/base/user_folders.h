// The default places of a user's files: the XDG base directories.
#ifndef COPPICE_COMMON_BASE_USER_FOLDERS_H_
#define COPPICE_COMMON_BASE_USER_FOLDERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice {

// The folder for data that outlive a program and stay on the machine: $XDG_STATE_HOME/coppice, by
// default ~/.local/state/coppice. Nothing is created. FAILED_PRECONDITION, with the remedy:
// XDG_STATE_HOME is not an absolute path, or neither HOME nor the account's entry names a home.
absl::StatusOr<std::string> StateHome();
// The folder for a user's configuration: $XDG_CONFIG_HOME/coppice, by default ~/.config/coppice.
// The same codes.
absl::StatusOr<std::string> ConfigHome();

// The folder for temporary files: $TMPDIR, else /tmp. A relative TMPDIR is used as it is, as in
// other programs.
std::string TemporaryFolder();

// A new unnamed file in `folder`, for reading and writing. It disappears once the descriptor is
// closed, even by a crash. The codes of files.h; messages say that TMPDIR selects another folder.
absl::StatusOr<int> OpenUnnamedFile(const std::string& folder);

// Like mkdir -p; created folders are for their owner alone (0700), and existing folders stay
// unchanged. The codes of files.h.
absl::Status MakePrivateDirectories(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_USER_FOLDERS_H_
