#include "common/rpc/credentials.h"

#include <grpcpp/security/credentials.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
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

// Checks that the token fits a header: visible ASCII without spaces. The message does not repeat
// the token.
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

// The source of a call's token.
struct TokenSource {
  std::string file;  // empty: the environment
  std::function<absl::StatusOr<std::string>()> read;
};

TokenSource SourceOf(const Credentials& credentials) {
  const std::string& access = credentials.access_file;
  const std::string& file = credentials.token_file;
  if (!access.empty()) {
    // A token is sent only to its own authority, even if the file now belongs to another
    // coordinator.
    const auto read = [access, caller = credentials.caller,
                       authority =
                           std::make_shared<std::string>()]() -> absl::StatusOr<std::string> {
      COPPICE_ASSIGN_OR_RETURN(const AccessFile content, ReadAccessFile(access));
      if (authority->empty()) *authority = content.authority;
      if (content.authority != *authority) {
        return absl::FailedPreconditionError(absl::StrCat(access, " is another coordinator's now"));
      }
      COPPICE_ASSIGN_OR_RETURN(const std::string token, TokenFor(content, caller, access));
      return CheckToken(token, access);
    };
    return {access, read};
  }
  if (!file.empty()) return {file, [file] { return ReadToken(file); }};
  return {"", [token = credentials.token] { return CheckToken(token, kTokenVariable); }};
}

// Purpose: attaches the token to each call. Owner: the channel's credentials. Thread-safe. A
// changed file is read again; while it is unreadable the last token stays in use.
class TokenPlugin final : public grpc::MetadataCredentialsPlugin {
 public:
  TokenPlugin(std::string token, TokenSource source)
      : source_(std::move(source)), token_(std::move(token)), stamp_(StampOf(source_.file)) {}

  // The file may be on a network filesystem.
  bool IsBlocking() const override { return !source_.file.empty(); }
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
    if (source_.file.empty()) return token_;
    std::string stamp = StampOf(source_.file);
    if (stamp == stamp_) return token_;
    absl::StatusOr<std::string> token = source_.read();
    if (token.ok()) {
      token_ = *std::move(token);
      stamp_ = std::move(stamp);
    }
    return token_;
  }

  const TokenSource source_;
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
  if (!credentials.access_file.empty()) {
    COPPICE_ASSIGN_OR_RETURN(const AccessFile access, ReadAccessFile(credentials.access_file));
    return grpc::SslCredentials({access.authority, access.key, access.certificate});
  }
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
  // gRPC also checks the connection itself.
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
  const bool with_token = !credentials.access_file.empty() || !credentials.token_file.empty() ||
                          !credentials.token.empty();
  COPPICE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> channel,
                           Transport(address, credentials, with_token));
  if (!with_token) return channel;
  TokenSource source = SourceOf(credentials);
  COPPICE_ASSIGN_OR_RETURN(std::string token, source.read());
  // The security level is left to Transport, which allows plain text only to this machine.
  const auto call = grpc::experimental::MetadataCredentialsFromPlugin(
      std::make_unique<TokenPlugin>(std::move(token), std::move(source)),
      credentials.tls() ? GRPC_PRIVACY_AND_INTEGRITY : GRPC_SECURITY_NONE);
  return grpc::CompositeChannelCredentials(channel, call);
}

}  // namespace coppice::rpc
