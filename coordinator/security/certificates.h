// X.509 certificates for one installation: a private authority, and what it signs.
#ifndef COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_
#define COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coppice::security {

// Both PEM. Keys are EC P-256, signatures ECDSA with SHA-256.
struct KeyPair {
  std::string certificate;
  std::string key;
};

struct Validity {
  absl::Time from;
  absl::Time until;
};

// A self-signed authority that may sign end certificates, no further authority.
absl::StatusOr<KeyPair> MakeAuthority(const std::string& common_name, const Validity& validity);

// A name or an address that a server certificate may stand for. INVALID_ARGUMENT for anything but
// a DNS name without wildcard, an IPv4 or an IPv6 address (without brackets).
absl::Status CheckHost(absl::string_view host);

// A server's certificate, valid for these hosts and for nothing but TLS servers. With `key` (PEM)
// for that key, otherwise for a new one.
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
  std::vector<std::string> hosts;  // of the subject alternative names
  absl::Time from;
  absl::Time until;
};

// What a PEM file's first certificate says. INVALID_ARGUMENT when there is none.
absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem);
// OK when a PEM file holds certificates, and every one of them can be read; INVALID_ARGUMENT
// otherwise.
absl::Status CheckChain(absl::string_view pem);
// OK when the key is the certificate's own; INVALID_ARGUMENT otherwise.
absl::Status CheckKeyFits(const KeyPair& pair);

}  // namespace coppice::security

#endif  // COPPICE_COORDINATOR_SECURITY_CERTIFICATES_H_
