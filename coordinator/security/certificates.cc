#include "coordinator/security/certificates.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace coppice::security {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<::EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<::X509_free>>;
using Memory = std::unique_ptr<BIO, Deleter<::BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<::X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<::GENERAL_NAMES_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<::BN_free>>;

constexpr size_t kMaxHostBytes = 253;
constexpr int kSerialBits = 159;  // positive, at most 20 bytes (RFC 5280, 4.1.2.2)
constexpr long kX509v3 = 2;       // counted from 0

// Reports OpenSSL's own reason, which contains no secret, and empties its queue.
absl::Status Failed(absl::string_view what) {
  const unsigned long code = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const char* const reason = ::ERR_reason_error_string(code);
  return absl::InternalError(absl::StrCat(what, ": ", reason == nullptr ? "failed" : reason));
}

absl::Status Unreadable(absl::string_view what) {
  ::ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat("holds no ", what, " in PEM form"));
}

Memory Reader(absl::string_view pem) {
  return Memory(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string Content(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem) {
  Certificate certificate(::PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Unreadable("certificate");
  return certificate;
}

// Never prompts for a passphrase, because a daemon has no terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::StatusOr<Key> ParseKey(absl::string_view pem) {
  Key key(::PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) return Unreadable("private key (without passphrase)");
  return key;
}

absl::StatusOr<std::string> WriteKey(EVP_PKEY* key) {
  const Memory memory(::BIO_new(::BIO_s_secmem()));
  if (memory == nullptr || ::PEM_write_bio_PKCS8PrivateKey(memory.get(), key, nullptr, nullptr, 0,
                                                           nullptr, nullptr) != 1) {
    return Failed("cannot write a key");
  }
  return Content(memory.get());
}

absl::StatusOr<std::string> WriteCertificate(X509* certificate) {
  const Memory memory(::BIO_new(::BIO_s_mem()));
  if (memory == nullptr || ::PEM_write_bio_X509(memory.get(), certificate) != 1) {
    return Failed("cannot write a certificate");
  }
  return Content(memory.get());
}

absl::Status SetSerial(X509* certificate) {
  const Number serial(::BN_new());
  if (serial == nullptr ||
      ::BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
      ::BN_to_ASN1_INTEGER(serial.get(), ::X509_get_serialNumber(certificate)) == nullptr) {
    return Failed("cannot make a serial number");
  }
  return absl::OkStatus();
}

absl::Status SetTimes(X509* certificate, const Validity& validity) {
  const time_t from = absl::ToTimeT(validity.from);
  const time_t until = absl::ToTimeT(validity.until);
  if (::ASN1_TIME_set(::X509_getm_notBefore(certificate), from) == nullptr ||
      ::ASN1_TIME_set(::X509_getm_notAfter(certificate), until) == nullptr) {
    return Failed("cannot set the validity");
  }
  return absl::OkStatus();
}

struct Wanted {
  int nid;
  std::string value;
};

// Makes and signs a certificate: version, serial, times, name, key, extensions, signature. It is
// self-signed if `issuer` is null.
absl::StatusOr<std::string> Sign(EVP_PKEY* key, const std::string& common_name,
                                 const Validity& validity, const std::vector<Wanted>& extensions,
                                 X509* issuer, EVP_PKEY* issuer_key) {
  const Certificate certificate(::X509_new());
  if (certificate == nullptr || ::X509_set_version(certificate.get(), kX509v3) != 1) {
    return Failed("cannot make a certificate");
  }
  COPPICE_RETURN_IF_ERROR(SetSerial(certificate.get()));
  COPPICE_RETURN_IF_ERROR(SetTimes(certificate.get(), validity));
  X509_NAME* const subject = ::X509_get_subject_name(certificate.get());
  if (::X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common_name.data()),
                                   static_cast<int>(common_name.size()), -1, 0) != 1 ||
      ::X509_set_issuer_name(certificate.get(),
                             issuer == nullptr ? subject : ::X509_get_subject_name(issuer)) != 1 ||
      ::X509_set_pubkey(certificate.get(), key) != 1) {
    return Failed("cannot name a certificate");
  }
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer == nullptr ? certificate.get() : issuer, certificate.get(),
                   nullptr, nullptr, 0);
  for (const Wanted& wanted : extensions) {
    const Extension extension(
        ::X509V3_EXT_conf_nid(nullptr, &context, wanted.nid, wanted.value.c_str()));
    if (extension == nullptr || ::X509_add_ext(certificate.get(), extension.get(), -1) != 1) {
      return Failed("cannot extend a certificate");
    }
  }
  if (::X509_sign(certificate.get(), issuer_key, ::EVP_sha256()) == 0) {
    return Failed("cannot sign a certificate");
  }
  return WriteCertificate(certificate.get());
}

absl::StatusOr<Key> KeyOrNew(const std::string& pem) {
  if (!pem.empty()) return ParseKey(pem);
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Failed("cannot make a key");
  return key;
}

absl::StatusOr<KeyPair> Issue(const KeyPair& authority, const std::string& common_name,
                              const Validity& validity, std::vector<Wanted> extensions,
                              const std::string& key_pem) {
  COPPICE_ASSIGN_OR_RETURN(const Certificate issuer, ParseCertificate(authority.certificate));
  COPPICE_ASSIGN_OR_RETURN(const Key issuer_key, ParseKey(authority.key));
  COPPICE_ASSIGN_OR_RETURN(const Key key, KeyOrNew(key_pem));
  extensions.push_back({NID_basic_constraints, "critical,CA:FALSE"});
  extensions.push_back({NID_key_usage, "critical,digitalSignature"});
  extensions.push_back({NID_subject_key_identifier, "hash"});
  extensions.push_back({NID_authority_key_identifier, "keyid:always"});
  KeyPair pair;
  COPPICE_ASSIGN_OR_RETURN(pair.certificate, Sign(key.get(), common_name, validity, extensions,
                                                  issuer.get(), issuer_key.get()));
  COPPICE_ASSIGN_OR_RETURN(pair.key, WriteKey(key.get()));
  return pair;
}

bool IsAddress(absl::string_view host) {
  unsigned char address[sizeof(in6_addr)];
  const std::string text(host);
  return ::inet_pton(AF_INET, text.c_str(), address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), address) == 1;
}

std::string HostOf(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    return std::string(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<size_t>(::ASN1_STRING_length(name->d.dNSName)));
  }
  if (name->type != GEN_IPADD) return "";
  const int size = ::ASN1_STRING_length(name->d.iPAddress);
  char text[INET6_ADDRSTRLEN] = {};
  const int family = size == 4 ? AF_INET : AF_INET6;
  if (size != 4 && size != 16) return "";
  ::inet_ntop(family, ::ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof(text));
  return text;
}

absl::StatusOr<absl::Time> TimeOf(const ASN1_TIME* time) {
  tm parts = {};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) return Unreadable("certificate with readable times");
  return absl::FromTM(parts, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<KeyPair> MakeAuthority(const std::string& common_name, const Validity& validity) {
  COPPICE_ASSIGN_OR_RETURN(const Key key, KeyOrNew(""));
  KeyPair pair;
  COPPICE_ASSIGN_OR_RETURN(pair.certificate,
                           Sign(key.get(), common_name, validity,
                                {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                 {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                 {NID_subject_key_identifier, "hash"}},
                                nullptr, key.get()));
  COPPICE_ASSIGN_OR_RETURN(pair.key, WriteKey(key.get()));
  return pair;
}

absl::Status CheckHost(absl::string_view host) {
  if (IsAddress(host)) return absl::OkStatus();
  // A host that passes this check cannot end its entry in the extension's text and begin another.
  const bool good =
      !host.empty() && host.size() <= kMaxHostBytes && host.front() != '.' && host.front() != '-' &&
      std::all_of(host.begin(), host.end(),
                  [](unsigned char c) { return absl::ascii_isalnum(c) || c == '.' || c == '-'; });
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "is neither a host name nor an address; write for example head.cluster.example, 10.0.0.7 or "
      "fd00::7 (no port, no brackets, no wildcard)");
}

absl::StatusOr<KeyPair> IssueServerCertificate(const KeyPair& authority,
                                               const std::vector<std::string>& hosts,
                                               const Validity& validity, const std::string& key) {
  if (hosts.empty()) return absl::InvalidArgumentError("a server certificate needs a host");
  for (const std::string& host : hosts) COPPICE_RETURN_IF_ERROR(CheckHost(host));
  const std::string names = absl::StrJoin(hosts, ",", [](std::string* out, const auto& host) {
    absl::StrAppend(out, IsAddress(host) ? "IP:" : "DNS:", host);
  });
  return Issue(authority, "coppice-coordinator", validity,
               {{NID_ext_key_usage, "serverAuth"}, {NID_subject_alt_name, names}}, key);
}

absl::StatusOr<KeyPair> IssueClientCertificate(const KeyPair& authority,
                                               const std::string& common_name,
                                               const Validity& validity, const std::string& key) {
  return Issue(authority, common_name, validity, {{NID_ext_key_usage, "clientAuth"}}, key);
}

absl::StatusOr<CertificateInfo> ReadCertificate(absl::string_view pem) {
  COPPICE_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(pem));
  CertificateInfo info;
  COPPICE_ASSIGN_OR_RETURN(info.from, TimeOf(::X509_get0_notBefore(certificate.get())));
  COPPICE_ASSIGN_OR_RETURN(info.until, TimeOf(::X509_get0_notAfter(certificate.get())));
  const Names names(static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    std::string host = HostOf(sk_GENERAL_NAME_value(names.get(), i));
    if (!host.empty()) info.hosts.push_back(std::move(host));
  }
  return info;
}

absl::Status CheckChain(absl::string_view pem) {
  constexpr absl::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  size_t at = pem.find(kBegin);
  if (at == absl::string_view::npos) return ParseCertificate(pem).status();
  for (; at != absl::string_view::npos; at = pem.find(kBegin, at + kBegin.size())) {
    COPPICE_RETURN_IF_ERROR(ParseCertificate(pem.substr(at)).status());
  }
  return absl::OkStatus();
}

absl::Status CheckKeyFits(const KeyPair& pair) {
  COPPICE_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(pair.certificate));
  COPPICE_ASSIGN_OR_RETURN(const Key key, ParseKey(pair.key));
  if (::X509_check_private_key(certificate.get(), key.get()) == 1) return absl::OkStatus();
  ::ERR_clear_error();
  return absl::InvalidArgumentError("is not the key of the certificate");
}

}  // namespace coppice::security
