// Reads files whose names come from others: a user, a spec, a database, the wire. Such a name may
// lead to a pipe without a writer, to an endless device or to a file larger than memory. None of
// these may block a program or exhaust its memory.
#ifndef COPPICE_COMMON_BASE_REGULAR_FILE_H_
#define COPPICE_COMMON_BASE_REGULAR_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// A regular file, open for reading. Links are followed unless `extra_flags` holds O_NOFOLLOW.
// Movable; not thread-safe. Codes of every function here: INVALID_ARGUMENT (not a regular file, or
// larger than allowed), otherwise those of files.h. Messages name the path and never quote the
// content.
class RegularFile {
 public:
  static absl::StatusOr<RegularFile> Open(const std::string& path, int extra_flags = 0);
  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&& other) noexcept;
  ~RegularFile();

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }
  // The size when the file was opened; 0 for a file of /proc.
  uint64_t size() const { return size_; }
  // Up to `size` bytes; 0 only at the end of the file.
  absl::StatusOr<size_t> Read(char* data, size_t size);

 private:
  RegularFile(std::string path, int fd, uint64_t size);
  std::string path_;
  int fd_;
  uint64_t size_;
};

// The whole content, at most `max_bytes`. CANCELLED: `stop` became true during the read.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path, uint64_t max_bytes,
                                            const std::atomic<bool>* stop = nullptr);

// Reads a text file line by line and needs memory for one line only. Usage: Open, then Next until
// it returns false.
class RegularFileLines {
 public:
  struct Limits {
    uint64_t max_bytes;         // of the file
    size_t max_line = 1 << 20;  // bytes of a line
  };
  // CANCELLED: `stop` became true.
  static absl::StatusOr<RegularFileLines> Open(const std::string& path, Limits limits,
                                               const std::atomic<bool>* stop = nullptr);

  // False at the end of the file. `line` excludes the line feed and is valid until the next call.
  // The last line may lack the line feed.
  absl::StatusOr<bool> Next(absl::string_view* line);
  // The number of the line that Next returned last, from 1.
  int64_t number() const { return number_; }

 private:
  RegularFileLines(RegularFile file, Limits limits, const std::atomic<bool>* stop);
  absl::Status Fill();

  RegularFile file_;
  Limits limits_;
  const std::atomic<bool>* stop_;
  std::string buffer_;
  size_t begin_ = 0;  // start of the part not yet returned
  uint64_t read_ = 0;
  bool ended_ = false;
  int64_t number_ = 0;
};

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_REGULAR_FILE_H_
