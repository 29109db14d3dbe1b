// Shared by the fuzz targets. Each *_fuzz.cc defines LLVMFuzzerTestOneInput for one reader and is
// built twice: with libFuzzer (preset `asan`), and with corpus_test.cc, which runs the files of
// tests/fuzz/corpus in every build.
#ifndef COPPICE_TESTS_FUZZ_FUZZ_H_
#define COPPICE_TESTS_FUZZ_FUZZ_H_

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace coppice::fuzz {

// Ends the process, which a fuzzer counts as a finding.
[[noreturn]] inline void Fail(const char* file, int line, const char* condition,
                              absl::string_view detail) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n%.*s\n", file, line, condition,
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

#define FUZZ_CHECK(condition, detail) \
  ((condition) ? void() : ::coppice::fuzz::Fail(__FILE__, __LINE__, #condition, (detail)))

inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Messages go to terminals, logs and over the wire: only printable ASCII and line ends are allowed.
inline void CheckMessage(const absl::Status& status, size_t longest) {
  const absl::string_view message = status.message();
  FUZZ_CHECK(!message.empty(), "an error that says nothing");
  FUZZ_CHECK(message.size() <= longest, message);
  FUZZ_CHECK(std::all_of(message.begin(), message.end(),
                         [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }),
             message);
}

// A file for readers that open a path and refuse links. It is in memory if the system has such a
// folder.
class MemoryFile {
 public:
  explicit MemoryFile(absl::string_view content)
      : path_((::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") +
              std::string("/coppice-fuzz-XXXXXX")),
        fd_(::mkostemp(path_.data(), O_CLOEXEC)) {
    FUZZ_CHECK(fd_ >= 0, "mkostemp");
    Set(content);
  }
  ~MemoryFile() {
    ::unlink(path_.c_str());
    ::close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }
  void Set(absl::string_view content) {
    FUZZ_CHECK(::ftruncate(fd_, 0) == 0, "ftruncate");
    for (size_t done = 0; done < content.size();) {
      const ssize_t written =
          ::pwrite(fd_, content.data() + done, content.size() - done, static_cast<off_t>(done));
      FUZZ_CHECK(written > 0, "pwrite");
      done += static_cast<size_t>(written);
    }
  }

 private:
  std::string path_;
  const int fd_;
};

// Little-endian integers, as in the file formats.
template <typename Integer>
void PutInteger(Integer value, std::string* out) {
  for (size_t i = 0; i < sizeof(Integer); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace coppice::fuzz

#endif  // COPPICE_TESTS_FUZZ_FUZZ_H_
