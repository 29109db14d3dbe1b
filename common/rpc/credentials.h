// The credentials by which a client or a worker and the coordinator authenticate to each other.
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

// Files, as named by flags or the environment. Empty names are not used. If all are empty, the
// channel is plain text without authentication.
struct Credentials {
  std::string tls_ca{};      // authority of the coordinator's certificate; turns TLS on
  std::string tls_cert{};    // a client certificate, for mutual TLS
  std::string tls_key{};     // its key
  std::string token_file{};  // holds one token; read again when it changes, so that the token of a
                             // running worker can be replaced
  std::string token{};       // the token itself, if there can be no file; token_file has precedence
  // One file in place of all of the above (access_file.h). Its token, too, is read again.
  std::string access_file{};
  Caller caller = Caller::kClient;  // selects the token in that file

  bool tls() const { return !tls_ca.empty() || !access_file.empty(); }
};

// Environment variables for the flags of AddCredentialFlags, and one for the token itself. A secret
// is never a flag, because `ps` shows flags to everybody.
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

// Makes gRPC's credentials for a channel to `address`. INVALID_ARGUMENT: files do not match or have
// the wrong content. FAILED_PRECONDITION: others can read a secret, or a token would travel to
// another machine in plain text. Otherwise the codes of files.h. Each message names the file or
// flag and the remedy, never the secret.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const std::string& address, const Credentials& credentials);

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_CREDENTIALS_H_
