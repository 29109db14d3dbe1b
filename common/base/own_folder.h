// Folders in which a program may remove files. It removes them only where it can prove that the
// folder is its own.
#ifndef COPPICE_COMMON_BASE_OWN_FOLDER_H_
#define COPPICE_COMMON_BASE_OWN_FOLDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory.h"

namespace coppice {

// A kind of folder and the mark that identifies it.
struct OwnFolderKind {
  std::string mark;  // the name of the file that marks such a folder
  std::string what;  // its name in the mark and in messages: "a worker's state"
  std::string flag;  // the flag that selects another folder: "--state-dir"
  int version = 1;   // of the content; a later version is refused
  // Identify a folder from before marks existed: it holds every name in `proof` (a name that ends
  // in "/" is a folder's) and otherwise only names in `more`. Empty `proof`: no such folder is
  // recognized.
  std::vector<std::string> proof;
  std::vector<std::string> more;
  // Patterns (NameFits) of the names that this kind uses. If not empty, files of other names are
  // allowed and stay, both in a new folder and in one from before marks.
  std::vector<std::string> needs;
};

// Opens the folder at `path`, which must not be a symbolic link, and ensures that it is of this
// kind. A missing or empty folder is made and marked. A folder that a version without marks made is
// marked too (logged). FAILED_PRECONDITION, with the remedy: the folder belongs to another account,
// others may write to it, it lies below another account's folder in a place like /tmp, it holds
// other files and no mark, or its mark is of a later version. Otherwise the codes of files.h.
absl::StatusOr<Directory> ClaimFolder(const std::string& path, const OwnFolderKind& kind);

// OK: the folder is marked as one of this kind. NOT_FOUND: it has no mark. FAILED_PRECONDITION: it
// is marked as another kind, or as a later version.
absl::Status CheckFolderMark(const Directory& folder, const OwnFolderKind& kind);

// Checks that no other account can replace the folder at `path`. Refuses a parent that belongs to
// neither this account nor root and lies in a folder that everybody may write to.
absl::Status CheckNotBelowAStranger(const std::string& path);

// True for "lost+found" and the like, which a filesystem itself puts into an unused folder.
bool IsOfTheFilesystem(const std::string& name);

// "a, b, c and 4 more", for messages about files that were removed or are in the way.
std::string SomeNames(const std::vector<std::string>& names);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OWN_FOLDER_H_
