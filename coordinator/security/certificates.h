// X.509 certificates for one installation: a private authority and the certificates that it signs.
#ifndef COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_
#define COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::security {

// A new certificate is valid from so long ago, because clients with a slow clock must still be able
// to connect.
inline constexpr absl::Duration kClockSkew = absl::Hours(24);

// Both PEM. Keys are EC P-256, signatures ECDSA with SHA-256.
struct KeyPair {
  std::string certificate;
  std::string key;
};

struct Validity {
  absl::Time from;
  absl::Time until;
};

// A self-signed authority that may sign end certificates but no further authority.
absl::StatusOr<KeyPair> MakeAuthority(const std::string& common_name, const Validity& validity);

// Checks a host for a server certificate. INVALID_ARGUMENT: anything but a DNS name without
// wildcard, an IPv4 address, or an IPv6 address without brackets.
absl::Status CheckHost(absl::string_view host);

// A server's certificate, valid only for these hosts and only for TLS servers. It is for `key`
// (PEM) if that is given, otherwise for a new key.
absl::StatusOr<KeyPair> IssueServerCertificate(const KeyPair& authority,
                                               const std::vector<std::string>& hosts,
                                               const Validity& validity,
                                               const std::string& key = "");
// A client's certificate for mutual TLS.
absl::StatusOr<KeyPair> IssueClientCertificate(const KeyPair& authority,
                                               const std::string& common_name,
                                               const Validity& validity,
                                               const std::string& key = "");

struct CertificateInfo {
  std::vector<std::string> hosts;  // the subject alternative names
  absl::Time from;
  absl::Time until;
};

// Reads a PEM file's first certificate. INVALID_ARGUMENT: it has none.
absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem);
// OK if a PEM file holds at least one certificate and all can be read; otherwise INVALID_ARGUMENT.
absl::Status CheckChain(absl::string_view pem);
// OK if the key belongs to the certificate; otherwise INVALID_ARGUMENT.
absl::Status CheckKeyFits(const KeyPair& pair);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_
