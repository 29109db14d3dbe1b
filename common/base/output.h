// Standard output, checked to the last byte. A full disk, a closed descriptor or a reader that has
// gone must not look like success.
#ifndef COPPICE_COMMON_BASE_OUTPUT_H_
#define COPPICE_COMMON_BASE_OUTPUT_H_

#include <cstddef>
#include <ostream>
#include <streambuf>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coppice {

// The exit code that a shell shows for a program ended by SIGPIPE. A program whose reader has gone
// (`coppice jobs | head`) exits with it and prints nothing.
inline constexpr int kExitNoReader = 141;

// Every main calls this right after StartProcess (process_start.h). From then on std::cout prints
// through a DescriptorBuffer.
void PrepareStandardStreams();

// Purpose: writes an ostream's output to a descriptor and keeps the reason of a failure. Owner:
// Output. Not thread-safe. After the first failure nothing more is written.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd);
  // The errno of the write that failed; 0: none has.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  const int fd_;
  int error_ = 0;
  std::vector<char> buffer_;
};

// An ostream on a descriptor. It does not close the descriptor.
class Output : public std::ostream {
 public:
  explicit Output(int fd);

 private:
  DescriptorBuffer buffer_;
};

// Flushes. If this or an earlier write failed: the reason, with the codes of ErrnoToStatus.
absl::Status FlushOutput(std::ostream& out);
// Whether a write failed because the reader has gone.
bool ReaderIsGone(const std::ostream& out);

// Ends a main that prints with std::cout or printf: flushes both and returns the exit code. On a
// failure, an exit code of 0 becomes 1 (with a message on stderr) or kExitNoReader.
int FinishStandardOutput(absl::string_view program, int exit_code);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OUTPUT_H_
