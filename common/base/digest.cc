#include "common/base/digest.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace coppice {

struct Digest::State {
  XXH3_state_t xxh;
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Digest::~Digest() = default;

void Digest::Update(const void* data, size_t size) {
  XXH3_128bits_update(&state_->xxh, data, size);
}

std::string Digest::Hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)));
}

bool IsDigest(absl::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string DigestOf(const void* data, size_t size) {
  Digest digest;
  digest.Update(data, size);
  return digest.Hex();
}

absl::StatusOr<std::string> DigestOfFile(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path));
  Digest digest;
  std::vector<char> buffer(1 << 20);
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const size_t count, file.Read(buffer.data(), buffer.size()));
    if (count == 0) return digest.Hex();
    digest.Update(buffer.data(), count);
  }
}

}  // namespace coppice
