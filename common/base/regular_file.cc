#include "common/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice {
namespace {

constexpr size_t kPieceBytes = 1 << 16;

absl::string_view KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "of another kind";
}

absl::Status CheckRegular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is ", KindOf(info.st_mode), "; a regular file is needed"));
}

absl::Status TooLarge(const std::string& path, uint64_t max_bytes) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is larger than what is read of such a file (", max_bytes, " bytes)"));
}

absl::Status CheckStop(const std::string& path, const std::atomic<bool>* stop) {
  if (stop == nullptr || !stop->load()) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat("stopped while reading ", path));
}

}  // namespace

absl::StatusOr<RegularFile> RegularFile::Open(const std::string& path, int extra_flags) {
  struct stat info;
  // Opening a device can already have an effect, so the type is checked first.
  if ((extra_flags & O_NOFOLLOW) == 0 && ::stat(path.c_str(), &info) == 0) {
    COPPICE_RETURN_IF_ERROR(CheckRegular(path, info));
  }
  // Without O_NONBLOCK a named pipe would block the program.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | extra_flags);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  RegularFile file(path, fd, 0);
  if (::fstat(fd, &info) != 0) return ErrnoToStatus(errno, absl::StrCat("cannot stat ", path));
  COPPICE_RETURN_IF_ERROR(CheckRegular(path, info));
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

RegularFile::RegularFile(std::string path, int fd, uint64_t size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

RegularFile::~RegularFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<size_t> RegularFile::Read(char* data, size_t size) {
  for (;;) {
    const ssize_t count = ::read(fd_, data, size);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
  }
}

absl::StatusOr<std::string> ReadRegularFile(const std::string& path, uint64_t max_bytes,
                                            const std::atomic<bool>* stop) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path));
  if (file.size() > max_bytes) return TooLarge(path, max_bytes);
  std::string content;
  try {
    content.reserve(file.size());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for the ", file.size(), " bytes of ", path));
  }
  // The reported size may be wrong (/proc) or change, so only the bytes read count.
  char buffer[kPieceBytes];
  for (;;) {
    COPPICE_RETURN_IF_ERROR(CheckStop(path, stop));
    COPPICE_ASSIGN_OR_RETURN(const size_t count, file.Read(buffer, sizeof(buffer)));
    if (count == 0) return content;
    if (content.size() + count > max_bytes) return TooLarge(path, max_bytes);
    content.append(buffer, count);
  }
}

absl::StatusOr<RegularFileLines> RegularFileLines::Open(const std::string& path, Limits limits,
                                                        const std::atomic<bool>* stop) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path));
  if (file.size() > limits.max_bytes) return TooLarge(path, limits.max_bytes);
  return RegularFileLines(std::move(file), limits, stop);
}

RegularFileLines::RegularFileLines(RegularFile file, Limits limits, const std::atomic<bool>* stop)
    : file_(std::move(file)), limits_(limits), stop_(stop) {}

absl::Status RegularFileLines::Fill() {
  COPPICE_RETURN_IF_ERROR(CheckStop(file_.path(), stop_));
  buffer_.erase(0, std::exchange(begin_, 0));
  const size_t held = buffer_.size();
  buffer_.resize(held + kPieceBytes);
  COPPICE_ASSIGN_OR_RETURN(const size_t count, file_.Read(buffer_.data() + held, kPieceBytes));
  buffer_.resize(held + count);
  ended_ = count == 0;
  read_ += count;
  if (read_ > limits_.max_bytes) return TooLarge(file_.path(), limits_.max_bytes);
  return absl::OkStatus();
}

absl::StatusOr<bool> RegularFileLines::Next(absl::string_view* line) {
  size_t end = buffer_.find('\n', begin_);
  while (end == std::string::npos && !ended_) {
    if (buffer_.size() - begin_ > limits_.max_line) break;
    const size_t seen = buffer_.size() - begin_;
    COPPICE_RETURN_IF_ERROR(Fill());
    end = buffer_.find('\n', seen);
  }
  if (end == std::string::npos) end = buffer_.size();
  if (end == begin_ && begin_ == buffer_.size()) return false;
  ++number_;
  if (end - begin_ > limits_.max_line) {
    return absl::InvalidArgumentError(absl::StrCat(
        file_.path(), ":", number_, ": the line is longer than ", limits_.max_line, " bytes"));
  }
  *line = absl::string_view(buffer_).substr(begin_, end - begin_);
  begin_ = std::min(end + 1, buffer_.size());
  return true;
}

}  // namespace coppice
