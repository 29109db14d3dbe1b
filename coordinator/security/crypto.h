// The few primitives of access control. Only this folder's files use OpenSSL.
#ifndef COPPICE_COORDINATOR_SECURITY_CRYPTO_H_
#define COPPICE_COORDINATOR_SECURITY_CRYPTO_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::security {

// SHA-256 as 64 lower-case hex digits.
std::string Sha256Hex(absl::string_view data);

// Compares two strings in a time that depends only on their lengths.
bool SameSecret(absl::string_view a, absl::string_view b);

// `bytes` bytes from OpenSSL's generator for secrets, in URL-safe base64 without padding. INTERNAL:
// the system provides no randomness.
absl::StatusOr<std::string> RandomSecret(int bytes);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_CRYPTO_H_
