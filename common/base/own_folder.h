// Folders in which a program removes files: only those that it can prove to be its own.
#ifndef COPPICE_COMMON_BASE_OWN_FOLDER_H_
#define COPPICE_COMMON_BASE_OWN_FOLDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/directory.h"

namespace coppice {

// A kind of folder and the mark by which it is known.
struct OwnFolderKind {
  std::string mark;  // the name of the file that marks such a folder
  std::string what;  // what the mark says and messages call it: "a worker's state"
  std::string flag;  // the flag that names another: "--state-dir"
  int version = 1;   // of what is in it; a later one is refused
  // How a folder is known that was made before there were marks: it holds each of `proof` (a name
  // that ends in "/" is a folder's), and nothing but these and `more`. Empty: none is.
  std::vector<std::string> proof;
  std::vector<std::string> more;
  // Not empty: other files than these (patterns of NameFits) are in nobody's way and stay, in a new
  // folder of this kind as in one from before there were marks.
  std::vector<std::string> needs;
};

// Opens the folder at `path`, which may not be a symbolic link, and makes sure that it is one of
// this kind: makes and marks it where it is missing or empty, and marks what a version without
// marks made (logged). FAILED_PRECONDITION, with the remedy: it belongs to another account, others
// may write to it, it lies below another account's folder in a place like /tmp, it holds other
// files and no mark, or the mark is of a later version. Else the codes of files.h.
absl::StatusOr<Directory> ClaimFolder(const std::string& path, const OwnFolderKind& kind);

// That no other account can put another folder in the place of `path`: refuses a folder on the way
// that is neither this account's nor root's and lies in one that everybody may write to.
absl::Status CheckNotBelowAStranger(const std::string& path);

// "lost+found" and the like: a filesystem puts it into a folder that nobody has used yet.
bool IsOfTheFilesystem(const std::string& name);

// "a, b, c and 4 more": for messages that tell which files were removed or are in the way.
std::string SomeNames(const std::vector<std::string>& names);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OWN_FOLDER_H_
