#include "common/rpc/credentials.h"

#include <grpcpp/security/credentials.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace coppice::rpc {
namespace {

constexpr size_t kMaxTokenBytes = 512;

// Fit for a header: visible ASCII without spaces. The token is not repeated in the message.
absl::StatusOr<std::string> CheckToken(absl::string_view text, absl::string_view where) {
  const absl::string_view token = absl::StripAsciiWhitespace(text);
  const bool good = !token.empty() && token.size() <= kMaxTokenBytes &&
                    std::all_of(token.begin(), token.end(),
                                [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (good) return std::string(token);
  return absl::InvalidArgumentError(
      absl::StrCat(where,
                   " holds no token; it should be one line as `coppice-coordinator token "
                   "add` writes it"));
}

absl::StatusOr<std::string> ReadToken(const std::string& file) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, ReadSecretFile(file));
  return CheckToken(text, file);
}

std::string StampOf(const std::string& file) {
  struct stat info;
  if (::stat(file.c_str(), &info) != 0) return "gone";
  return absl::StrCat(info.st_ino, ".", info.st_size, ".", info.st_mode, ".", info.st_mtim.tv_sec,
                      ".", info.st_mtim.tv_nsec);
}

// Purpose: puts the token on each call. Owner: the channel's credentials. Thread-safe. A file that
// has changed is read again; while it cannot be read the last token goes on.
class TokenPlugin final : public grpc::MetadataCredentialsPlugin {
 public:
  TokenPlugin(std::string token, std::string file)
      : file_(std::move(file)), token_(std::move(token)), stamp_(StampOf(file_)) {}

  // It looks at a file, which may lie on a network filesystem.
  bool IsBlocking() const override { return !file_.empty(); }
  const char* GetType() const override { return "coppice-token"; }
  // gRPC may log this.
  grpc::string DebugString() override { return "coppice-token"; }

  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    metadata->emplace("authorization", absl::StrCat("Bearer ", Token()));
    return grpc::Status::OK;
  }

 private:
  std::string Token() {
    absl::MutexLock lock(&mutex_);
    if (file_.empty()) return token_;
    std::string stamp = StampOf(file_);
    if (stamp == stamp_) return token_;
    absl::StatusOr<std::string> token = ReadToken(file_);
    if (token.ok()) {
      token_ = *std::move(token);
      stamp_ = std::move(stamp);
    }
    return token_;
  }

  const std::string file_;
  absl::Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);
};

constexpr uint64_t kMaxPemBytes = 1 << 20;

absl::StatusOr<std::string> ReadPem(const std::string& file, absl::string_view what) {
  COPPICE_ASSIGN_OR_RETURN(std::string pem, ReadRegularFile(file, kMaxPemBytes));
  if (absl::StrContains(pem, absl::StrCat("-----BEGIN ", what))) return pem;
  return absl::InvalidArgumentError(absl::StrCat(file, " holds no ", what, " in PEM form"));
}

absl::Status CheckTogether(const Credentials& credentials) {
  if (credentials.tls_cert.empty() != credentials.tls_key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key go together; give both");
  }
  if (!credentials.tls_cert.empty() && credentials.tls_ca.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls-cert needs --tls-ca FILE (or ", kCaVariable,
                     "), the authority of the coordinator's certificate (ca-cert.pem)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Transport(const std::string& address,
                                                                    const Credentials& credentials,
                                                                    bool with_token) {
  if (!credentials.tls_ca.empty()) {
    grpc::SslCredentialsOptions ssl;
    COPPICE_ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem(credentials.tls_ca, "CERTIFICATE"));
    if (!credentials.tls_cert.empty()) {
      COPPICE_ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadPem(credentials.tls_cert, "CERTIFICATE"));
      COPPICE_ASSIGN_OR_RETURN(ssl.pem_private_key, ReadSecretFile(credentials.tls_key));
    }
    return grpc::SslCredentials(ssl);
  }
  if (!with_token) return grpc::InsecureChannelCredentials();
  if (!IsLoopback(address)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "refusing to send a token to ", address,
        " in plain text, where anybody on the way could read it; name the authority of its "
        "certificate with --tls-ca FILE or ",
        kCaVariable, " (ca-cert.pem, as `coppice-coordinator init-tls` made it)"));
  }
  // gRPC holds the connection itself against this, too.
  return grpc::experimental::LocalCredentials(absl::StartsWith(address, "unix:") ? UDS : LOCAL_TCP);
}

}  // namespace

void TakeTokenFromEnvironment(Credentials* credentials) {
  const char* const token = std::getenv(kTokenVariable);
  if (token != nullptr) credentials->token = token;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const std::string& address, const Credentials& credentials) {
  COPPICE_RETURN_IF_ERROR(CheckTogether(credentials));
  const bool with_token = !credentials.token_file.empty() || !credentials.token.empty();
  COPPICE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> channel,
                           Transport(address, credentials, with_token));
  if (!with_token) return channel;
  absl::StatusOr<std::string> token = credentials.token_file.empty()
                                          ? CheckToken(credentials.token, kTokenVariable)
                                          : ReadToken(credentials.token_file);
  if (!token.ok()) return token.status();
  // The level is the transport's affair: Transport lets plain text through to this machine only.
  const auto call = grpc::experimental::MetadataCredentialsFromPlugin(
      std::make_unique<TokenPlugin>(*std::move(token), credentials.token_file),
      credentials.tls_ca.empty() ? GRPC_SECURITY_NONE : GRPC_PRIVACY_AND_INTEGRITY);
  return grpc::CompositeChannelCredentials(channel, call);
}

}  // namespace coppice::rpc
