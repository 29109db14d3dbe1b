// Folders that are held by a descriptor, for listing and removing files without following a link.
#ifndef COPPICE_COMMON_BASE_DIRECTORY_H_
#define COPPICE_COMMON_BASE_DIRECTORY_H_

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// Purpose: one folder of this program's own. It is reached by its descriptor, so later changes to
// its path have no effect. No symbolic link is followed, neither to the folder nor in it, and no
// other filesystem is entered. Names are those of direct children. Thread-safe: nothing changes
// after Open. Failure codes: those of files.h. FAILED_PRECONDITION, with the remedy: the entry is
// not this program's to touch, being a link, another account's folder, a folder that others may
// write to, or on another filesystem.
class Directory {
 public:
  struct Entry {
    std::string name;
    struct stat info;  // for a link, of the link itself
    bool is_file() const { return S_ISREG(info.st_mode); }
    bool is_folder() const { return S_ISDIR(info.st_mode); }
  };

  // The last part of `path` must not be a link; earlier parts may be.
  static absl::StatusOr<Directory> Open(const std::string& path);
  Directory(Directory&& other) noexcept;
  Directory& operator=(Directory&& other) noexcept;
  ~Directory();

  // OK if the folder belongs to this process's user and nobody else may write to it.
  absl::Status CheckOwned() const;
  // Removes all rights of group and others to the folder. True: they had some.
  absl::StatusOr<bool> MakePrivate() const;

  // A child folder that belongs to this process's user.
  absl::StatusOr<Directory> OpenFolder(const std::string& name) const;
  // The same, but creates a missing folder (0700) and requires that nobody else may write to it.
  absl::StatusOr<Directory> MakeFolder(const std::string& name) const;
  // A folder further down, "a/b/c". NOT_FOUND also if a part of the path is a link or not a folder.
  absl::StatusOr<Directory> Walk(absl::string_view relative) const;

  // Sorted by name.
  absl::StatusOr<std::vector<Entry>> List() const;
  // NOT_FOUND when there is no such entry.
  absl::StatusOr<Entry> Find(const std::string& name) const;
  // The content of a small regular file of this process's user.
  absl::StatusOr<std::string> Read(const std::string& name) const;
  // Writes the file durably and atomically. An existing file of that name is replaced.
  absl::Status Write(const std::string& name, absl::string_view content) const;
  // Removes a regular file, never a link or a folder. OK also if it is already gone.
  absl::Status RemoveFile(const std::string& name) const;
  // False: the folder is not empty, is not a folder, or is gone.
  absl::StatusOr<bool> RemoveFolderIfEmpty(const std::string& name) const;

  // Removes a folder with everything in it. Links are removed, not followed. OK if it is gone
  // already. FAILED_PRECONDITION also where folders lie deeper than kMaxTreeDepth.
  absl::Status RemoveTree(const std::string& name) const;
  static constexpr int kMaxTreeDepth = 64;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }  // for messages

 private:
  Directory(std::string path, int fd, dev_t device)
      : path_(std::move(path)), fd_(fd), device_(device) {}
  static absl::StatusOr<Directory> OpenAt(int parent, const std::string& name, std::string path);
  absl::Status CheckOwner(const struct stat& info) const;
  absl::Status RemoveTree(const std::string& name, int depth) const;

  std::string path_;
  int fd_;
  dev_t device_;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_DIRECTORY_H_
