// The file that a user names for a program to write (-o FILE, --out FILE). One rule for all of
// them, told to users in docs/commands.md:
//   - what is there is kept, unless the user says that it may be replaced;
//   - a symbolic link is followed: its target is written, and the link stays;
//   - a replaced file keeps its mode and, where permitted, its owner;
//   - a character device or a pipe is written to and stays what it is;
//   - a folder, a socket and a block device are refused.
#ifndef COPPICE_COMMON_BASE_OUTPUT_FILE_H_
#define COPPICE_COMMON_BASE_OUTPUT_FILE_H_

#include <sys/stat.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// The name that means the standard output. What is written there is the caller's stream's matter.
inline constexpr absl::string_view kStandardOutputName = "-";

// Where `path` leads: symbolic links are followed, the last one also where its target does not
// exist. INVALID_ARGUMENT where they lead in a circle.
absl::StatusOr<std::string> FollowLinks(const std::string& path);

// Purpose: writes such a file; a regular one appears, or is replaced, with Commit, whole and
// durable. Destroyed before that, it leaves what was there. Not thread-safe. Codes: those of
// ErrnoToStatus; ALREADY_EXISTS for a file that is kept; INVALID_ARGUMENT for what cannot be
// written to at all.
class OutputFile {
 public:
  enum class Existing { kKeep, kReplace };

  // Waits for the reader of a named pipe.
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
  std::string target_;     // where it leads
  std::string temporary_;  // empty: written through
  std::optional<struct stat> old_;
  Existing existing_ = Existing::kKeep;
  int fd_;
};

// The whole of it at once.
absl::Status WriteOutputFile(const std::string& path, absl::string_view content,
                             OutputFile::Existing existing);

// Removes the regular file that `path` names or links to; a link, a device and a pipe stay. OK also
// where nothing is.
absl::Status RemoveOutputFile(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OUTPUT_FILE_H_
