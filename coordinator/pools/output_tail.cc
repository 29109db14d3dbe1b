#include "coordinator/pools/output_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice::pools {
namespace {

constexpr uint64_t kMaxTailBytes = 8 << 10;

}  // namespace

absl::StatusOr<std::string> OutputTail(const std::string& path, size_t lines) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path, O_NOFOLLOW));
  struct stat facts = {};
  if (::fstat(file.fd(), &facts) != 0) return ErrnoToStatus(errno, path);
  if (facts.st_uid != ::geteuid()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": belongs to another account"));
  }
  if (file.size() > kMaxTailBytes &&
      ::lseek(file.fd(), static_cast<off_t>(file.size() - kMaxTailBytes), SEEK_SET) < 0) {
    return ErrnoToStatus(errno, path);
  }
  std::string text(kMaxTailBytes, '\0');
  size_t used = 0;
  while (used < text.size()) {
    COPPICE_ASSIGN_OR_RETURN(const size_t got, file.Read(text.data() + used, text.size() - used));
    if (got == 0) break;
    used += got;
  }
  text.resize(used);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t begin = text.size();
  for (size_t i = 0; i < lines && begin != std::string::npos; ++i) {
    begin = begin == 0 ? std::string::npos : text.rfind('\n', begin - 1);
  }
  if (begin != std::string::npos) text.erase(0, begin + 1);
  return Printable(text);
}

}  // namespace coppice::pools
