// The archive of a program's checkpoint. First byte even: the other bytes are the file. Odd: they
// are a list of entries (type, length of the name, length of the content, both). These get correct
// headers, so that the checks of their names and order are reached too.
#include <stdlib.h>

#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/directory.h"
#include "common/base/files.h"
#include "tests/fuzz/fuzz.h"
#include "worker/program/archive.h"

namespace coppice::worker {
namespace {

constexpr size_t kBlock = 512;

std::string Header(absl::string_view name, char type, size_t size) {
  std::string block(kBlock, '\0');
  std::memcpy(block.data(), name.data(), std::min<size_t>(name.size(), 100));
  std::snprintf(&block[124], 12, "%011zo", size);
  std::memset(&block[148], ' ', 8);
  block[156] = type;
  std::memcpy(&block[257], "ustar", 6);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(&block[148], 8, "%07o", sum);
  return block;
}

std::string Built(absl::string_view rest) {
  std::string file;
  while (rest.size() >= 3) {
    const char type = rest[0];
    const size_t name = static_cast<uint8_t>(rest[1]), size = static_cast<uint8_t>(rest[2]);
    rest.remove_prefix(3);
    absl::StrAppend(&file, Header(rest.substr(0, name), type, size));
    rest.remove_prefix(std::min(rest.size(), name));
    std::string content(rest.substr(0, size));
    rest.remove_prefix(std::min(rest.size(), size));
    content.resize((size + kBlock - 1) / kBlock * kBlock);
    file += content;
  }
  return file + std::string(2 * kBlock, '\0');
}

class Folder {
 public:
  Folder()
      : path_((::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") +
              std::string("/coppice-fuzz-XXXXXX")) {
    FUZZ_CHECK(::mkdtemp(path_.data()) != nullptr, "mkdtemp");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void Check(absl::string_view content) {
  const fuzz::MemoryFile file(content);
  const Folder outer;
  const auto parent = Directory::Open(outer.path());
  FUZZ_CHECK(parent.ok(), parent.status().message());
  const auto into = parent->MakeFolder("into");
  FUZZ_CHECK(into.ok(), into.status().message());
  const absl::Status read = ReadArchive(file.path(), *into);
  FUZZ_CHECK(parent->List()->size() == 1, "something was written outside of the folder");
  if (!read.ok()) return;
  // An unpacked archive can be packed again, and comes back the same.
  const auto packed = WriteArchive(*into, JoinPath(outer.path(), "again.tar"));
  if (!packed.ok()) return;  // it has no file
  const auto second = parent->MakeFolder("second");
  FUZZ_CHECK(ReadArchive(JoinPath(outer.path(), "again.tar"), *second).ok(), "own archive");
  const auto again = WriteArchive(*second, JoinPath(outer.path(), "third.tar"));
  FUZZ_CHECK(again.ok() && again->digest == packed->digest, "another archive");
}

}  // namespace
}  // namespace coppice::worker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view rest = coppice::fuzz::Text(data + 1, size - 1);
  coppice::worker::Check(data[0] % 2 == 0 ? std::string(rest) : coppice::worker::Built(rest));
  return 0;
}
