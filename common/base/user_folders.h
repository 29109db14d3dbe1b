// Where a user's files lie when no flag says otherwise: the XDG base directories.
#ifndef COPPICE_COMMON_BASE_USER_FOLDERS_H_
#define COPPICE_COMMON_BASE_USER_FOLDERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coppice {

// What outlives a program and stays on the machine: $XDG_STATE_HOME/coppice, by default
// ~/.local/state/coppice. Nothing is created. FAILED_PRECONDITION, with the remedy, when
// XDG_STATE_HOME is no absolute path, or neither HOME nor the account's entry names a home.
absl::StatusOr<std::string> StateHome();
// What a user chose or was given: $XDG_CONFIG_HOME/coppice, by default ~/.config/coppice. The same
// codes.
absl::StatusOr<std::string> ConfigHome();

// Where temporary files go: $TMPDIR, else /tmp. A TMPDIR that is no absolute path is taken as it
// stands, as other programs take it.
std::string TemporaryFolder();

// A new file without a name in `folder`, for reading and writing; it is gone once the descriptor is
// closed, however that happens. The codes of files.h; messages say that TMPDIR names another
// folder.
absl::StatusOr<int> OpenUnnamedFile(const std::string& folder);

// mkdir -p; every folder that is created is for its owner alone (0700).
// Folders that are there are left as they are. The codes of files.h.
absl::Status MakePrivateDirectories(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_USER_FOLDERS_H_
