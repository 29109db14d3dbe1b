#include "coordinator/security/crypto.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "absl/strings/escaping.h"

namespace coppice::security {

std::string Sha256Hex(absl::string_view data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

bool SameSecret(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::StatusOr<std::string> RandomSecret(int bytes) {
  std::string raw(static_cast<size_t>(bytes), '\0');
  if (::RAND_priv_bytes(reinterpret_cast<unsigned char*>(raw.data()), bytes) != 1) {
    return absl::InternalError("the system gave no random bytes for a secret");
  }
  std::string text = absl::WebSafeBase64Escape(raw);
  ::OPENSSL_cleanse(raw.data(), raw.size());
  return text;
}

}  // namespace coppice::security
