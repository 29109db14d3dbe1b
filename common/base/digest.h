#ifndef COPPICE_COMMON_BASE_DIGEST_H_
#define COPPICE_COMMON_BASE_DIGEST_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

// XXH3-128 as 32 lower-case hex digits (canonical, big-endian order), computed in pieces. It
// detects accidental damage, not forgery. Not thread-safe.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void Update(const void* data, size_t size);
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True for 32 lower-case hex digits.
bool IsDigest(absl::string_view text);
std::string DigestOf(const void* data, size_t size);
// Codes as in files.h.
absl::StatusOr<std::string> DigestOfFile(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_DIGEST_H_
