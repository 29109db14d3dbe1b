#ifndef COPPICE_WORKER_DAEMON_STATE_FOLDER_H_
#define COPPICE_WORKER_DAEMON_STATE_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/directory.h"
#include "common/base/files.h"

namespace coppice::worker {

// Purpose: the folder that a worker keeps between its runs. It is held by its descriptors, and
// every removal in it goes through them. Owner: main, while the worker runs. Layout:
//   .coppice-worker  the mark; without it nothing is removed
//   lock             held by the worker that uses the folder; names its host, boot and process
//   name-suffix      of the worker's default name
//   spool/           records that the coordinator has not acknowledged yet
//   runs/ logs/      run specs and logs of the last packs
//   scratch/         checkpoints on their way, if the coordinator's folder is not shared
//   widths/          measured pack widths
struct StateFolder {
  std::string path;
  FileLock lock;
  std::shared_ptr<const Directory> root, spool, runs, logs, scratch, widths;
};

// Creates the folder or takes up one that a worker of this account created, locks it, and only then
// reads it. The lock file then says which process holds it. UNAVAILABLE, with the remedy: another
// worker uses it. FAILED_PRECONDITION, with the remedy: the folder is not a worker's (see
// ClaimFolder), or one of its folders is a link, another account's, or on another filesystem.
// Otherwise the codes of files.h.
absl::StatusOr<StateFolder> OpenStateFolder(const std::string& path);

// Removes the run specs, logs and widths beyond the newest few hundred, and files that a killed
// worker left half written. The log lists them. Files with other names stay.
void RemoveOldFiles(const StateFolder& state);

// For whoever removes the folder of a worker that is gone.
inline constexpr char kStateMark[] = ".coppice-worker";
// OK: the folder is marked as a worker's state, of a version that this program knows.
absl::Status CheckStateMark(const Directory& folder);
// True if a worker puts such an entry into its state folder.
bool IsStateEntry(const Directory::Entry& entry);
// True if a worker puts such a file into its folder `folder`, which is "runs", "logs" or "widths".
bool IsStateFile(absl::string_view folder, const Directory::Entry& file);

// "00000000000000000001-0000000002.spool"
bool IsSpoolFileName(absl::string_view name);

// The default folder for a worker on this machine: one for each host, below StateHome, since hosts
// may share homes but not always locks.
absl::StatusOr<std::string> DefaultStateFolder();

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_STATE_FOLDER_H_
