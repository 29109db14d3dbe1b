// The file that a user names for a program's output (-o FILE, --out FILE). All programs keep the
// same rules, which docs/commands.md gives to users:
//   - an existing file is kept, unless the user allows its replacement;
//   - a symbolic link is followed: the target is written, and the link stays;
//   - a replaced file keeps its mode and, where permitted, its owner;
//   - a character device or a pipe is written to and stays what it is;
//   - a folder, a socket and a block device are refused.
#ifndef COPPICE_COMMON_BASE_OUTPUT_FILE_H_
#define COPPICE_COMMON_BASE_OUTPUT_FILE_H_

#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// The name that stands for standard output. The caller writes to that with its own stream.
inline constexpr absl::string_view kStandardOutputName = "-";

// The path to which the symbolic links of `path` lead. The target of the last one need not exist.
// INVALID_ARGUMENT: the links form a loop.
absl::StatusOr<std::string> FollowLinks(const std::string& path);

// Purpose: writes such a file. With Commit a regular file appears, or is replaced, whole and
// durable. If destroyed before Commit, it leaves the old file as it was. Not thread-safe. Failure
// codes: those of ErrnoToStatus; ALREADY_EXISTS (the existing file is kept); INVALID_ARGUMENT (the
// target cannot be written to at all).
class OutputFile {
 public:
  enum class Existing { kKeep, kReplace };

  // Blocks until a named pipe has a reader.
  static absl::StatusOr<OutputFile> Open(const std::string& path, Existing existing);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  absl::Status Append(absl::string_view data);
  absl::Status Commit();

 private:
  OutputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status OpenTemporary();
  absl::Status TakeModeOfOld();
  absl::Status Rename();

  std::string path_;       // as the user wrote it, for messages
  std::string target_;     // the target of `path_`'s links
  std::string temporary_;  // empty: written directly
  std::optional<struct stat> old_;
  Existing existing_ = Existing::kKeep;
  int fd_;
};

// Writes the whole content at once.
absl::Status WriteOutputFile(const std::string& path, absl::string_view content,
                             OutputFile::Existing existing);

// Removes the regular file that `path` names or links to. A link, a device and a pipe stay. OK also
// when there is no file.
absl::Status RemoveOutputFile(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OUTPUT_FILE_H_
