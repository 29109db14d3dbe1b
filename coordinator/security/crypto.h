// The few primitives that access control is made of; OpenSSL stays behind this folder's files.
#ifndef COPPICE_COORDINATOR_SECURITY_CRYPTO_H_
#define COPPICE_COORDINATOR_SECURITY_CRYPTO_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::security {

// SHA-256 as 64 lower-case hex digits.
std::string Sha256Hex(absl::string_view data);

// Equality of two strings in a time that depends on their lengths only.
bool SameSecret(absl::string_view a, absl::string_view b);

// `bytes` bytes of OpenSSL's generator for secrets, in URL-safe base64 without padding. INTERNAL
// when the system has no randomness to give.
absl::StatusOr<std::string> RandomSecret(int bytes);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_CRYPTO_H_
