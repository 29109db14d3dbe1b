// What a program says on its standard output, checked to the last byte: a full disk, a closed
// descriptor or a reader that has gone must not look like success.
#ifndef COPPICE_COMMON_BASE_OUTPUT_H_
#define COPPICE_COMMON_BASE_OUTPUT_H_

#include <cstddef>
#include <ostream>
#include <streambuf>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coppice {

// What a shell shows for a program that SIGPIPE ended. A program whose reader has gone
// (`coppice jobs | head`) ends with it, and says nothing.
inline constexpr int kExitNoReader = 141;

// For every main, right behind StartProcess (process_start.h): std::cout prints through a
// DescriptorBuffer from then on.
void PrepareStandardStreams();

// Purpose: what an ostream prints, to a descriptor, with the reason of a failure. Owner: Output.
// Not thread-safe. After the first failure nothing more is written.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd);
  // The errno of the write that failed; 0 as long as all is well.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  const int fd_;
  int error_ = 0;
  std::vector<char> buffer_;
};

// Not closed at the end.
class Output : public std::ostream {
 public:
  explicit Output(int fd);

 private:
  DescriptorBuffer buffer_;
};

// Flushes; the codes of ErrnoToStatus with the reason when that, or anything before, failed.
absl::Status FlushOutput(std::ostream& out);
// After a failure: nobody reads any more.
bool ReaderIsGone(const std::ostream& out);

// At the end of a main that prints with std::cout or printf: flushes both. The exit code, which a
// failure makes 1 (with a message on stderr) or kExitNoReader where it was 0.
int FinishStandardOutput(absl::string_view program, int exit_code);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_OUTPUT_H_
