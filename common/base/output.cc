#include "common/base/output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"

namespace coppice {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

absl::Status CannotWrite(int error) {
  constexpr char kWhat[] = "cannot write to the standard output";
  if (error == 0) return absl::InternalError(kWhat);
  return ErrnoToStatus(error, kWhat);
}

}  // namespace

void PrepareStandardStreams() {
  // Never deleted: std::cout is flushed once more after main.
  std::cout.rdbuf(new DescriptorBuffer(STDOUT_FILENO));
}

DescriptorBuffer::DescriptorBuffer(int fd) : fd_(fd), buffer_(kBufferBytes) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

DescriptorBuffer::int_type DescriptorBuffer::overflow(int_type c) {
  if (sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) {
    *pptr() = traits_type::to_char_type(c);
    pbump(1);
  }
  return traits_type::not_eof(c);
}

int DescriptorBuffer::sync() {
  const char* at = pbase();
  while (error_ == 0 && at < pptr()) {
    const ssize_t written = ::write(fd_, at, static_cast<size_t>(pptr() - at));
    if (written >= 0) {
      at += written;
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return error_ == 0 ? 0 : -1;
}

Output::Output(int fd) : std::ostream(nullptr), buffer_(fd) { rdbuf(&buffer_); }

absl::Status FlushOutput(std::ostream& out) {
  out.flush();
  if (out.good()) return absl::OkStatus();
  const auto* buffer = dynamic_cast<const DescriptorBuffer*>(out.rdbuf());
  return CannotWrite(buffer == nullptr ? 0 : buffer->error());
}

bool ReaderIsGone(const std::ostream& out) {
  const auto* buffer = dynamic_cast<const DescriptorBuffer*>(out.rdbuf());
  return buffer != nullptr && buffer->error() == EPIPE;
}

int FinishStandardOutput(absl::string_view program, int exit_code) {
  const absl::Status printed = FlushOutput(std::cout);
  const int error = std::fflush(stdout) == 0 ? 0 : errno;
  const bool failed = error != 0 || std::ferror(stdout) != 0;
  if (printed.ok() && !failed) return exit_code;
  if (error == EPIPE || ReaderIsGone(std::cout)) return exit_code == 0 ? kExitNoReader : exit_code;
  const absl::Status reason = printed.ok() ? CannotWrite(error) : printed;
  std::cerr << program << ": " << reason.message() << "\n" << std::flush;
  return exit_code == 0 ? 1 : exit_code;
}

}  // namespace coppice
