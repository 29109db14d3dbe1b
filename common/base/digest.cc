#include "common/base/digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/files.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace coppice {

struct Digest::State {
  XXH3_state_t xxh;
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Digest::~Digest() = default;

void Digest::Update(const void* data, size_t size) { XXH3_128bits_update(&state_->xxh, data, size); }

std::string Digest::Hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)));
}

std::string DigestOf(const void* data, size_t size) {
  Digest digest;
  digest.Update(data, size);
  return digest.Hex();
}

absl::StatusOr<std::string> DigestOfFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  Digest digest;
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      ::close(fd);
      return ErrnoToStatus(error, absl::StrCat("cannot read ", path));
    }
    if (count == 0) break;
    digest.Update(buffer.data(), static_cast<size_t>(count));
  }
  ::close(fd);
  return digest.Hex();
}

}  // namespace coppice
