// What a client or a worker proves itself with, and the coordinator to it.
#ifndef COPPICE_COMMON_RPC_CREDENTIALS_H_
#define COPPICE_COMMON_RPC_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/access_file.h"

namespace grpc {
class ChannelCredentials;
}

namespace coppice::rpc {

// Files, as flags or the environment name them; empty ones are not used. Empty altogether: plain
// text, and nobody is asked who they are.
struct Credentials {
  std::string tls_ca{};      // the authority that signed the coordinator's certificate: speak TLS
  std::string tls_cert{};    // a client certificate, for mutual TLS
  std::string tls_key{};     // its key
  std::string token_file{};  // holds one token; read again when it changes, so that a token can be
                             // replaced under a running worker
  std::string token{};       // the token itself, where no file can be; token_file goes first
  // All of the above in one file, in place of them (access_file.h). Its token, too, is read again.
  std::string access_file{};
  Caller caller = Caller::kClient;  // whose token of that file

  bool tls() const { return !tls_ca.empty() || !access_file.empty(); }
};

// The environment variables behind the flags that AddCredentialFlags adds, and one for the token
// itself. A secret is no flag: `ps` shows flags to everybody.
inline constexpr char kCaVariable[] = "COPPICE_TLS_CA";
inline constexpr char kCertVariable[] = "COPPICE_TLS_CERT";
inline constexpr char kKeyVariable[] = "COPPICE_TLS_KEY";
inline constexpr char kTokenFileVariable[] = "COPPICE_TOKEN_FILE";
inline constexpr char kTokenVariable[] = "COPPICE_TOKEN";

// Adds --tls-ca, --tls-cert, --tls-key and --token-file to a CLI::App (a template, so that this
// library does not depend on it).
template <typename App>
void AddCredentialFlags(App* app, Credentials* credentials) {
  app->add_option("--tls-ca", credentials->tls_ca,
                  "Authority (PEM) of the coordinator's certificate: speak TLS")
      ->type_name("FILE")
      ->envname(kCaVariable);
  app->add_option("--token-file", credentials->token_file,
                  "File with the token to show; or set COPPICE_TOKEN to the token itself")
      ->type_name("FILE")
      ->envname(kTokenFileVariable);
  app->add_option("--tls-cert", credentials->tls_cert, "Client certificate (PEM), for mutual TLS")
      ->type_name("FILE")
      ->envname(kCertVariable);
  app->add_option("--tls-key", credentials->tls_key, "Its key (PEM, mode 0600)")
      ->type_name("FILE")
      ->envname(kKeyVariable);
}

// Fills `token` from COPPICE_TOKEN.
void TakeTokenFromEnvironment(Credentials* credentials);

// gRPC's form of them for a channel to `address`. INVALID_ARGUMENT for files that do not go
// together or are not what they should be; FAILED_PRECONDITION for a secret that others can read,
// and for a token that would travel in plain text to another machine; the codes of files.h. Each
// names the file or flag and what to do, none the secret.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const std::string& address, const Credentials& credentials);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_CREDENTIALS_H_
