// Names of the files that `init-tls` puts into its folder and `--tls-dir` expects there.
#ifndef COPPICE_COORDINATOR_COMMANDS_TLS_FILES_H_
#define COPPICE_COORDINATOR_COMMANDS_TLS_FILES_H_

namespace coppice::commands {

inline constexpr char kAuthorityCertificate[] = "ca-cert.pem";  // goes to every client and worker
inline constexpr char kAuthorityKey[] = "ca-key.pem";           // signs; stays here
inline constexpr char kServerCertificate[] = "server-cert.pem";
inline constexpr char kServerKey[] = "server-key.pem";
inline constexpr char kClientCertificate[] = "client-cert.pem";  // for mutual TLS
inline constexpr char kClientKey[] = "client-key.pem";
inline constexpr char kTokens[] = "tokens";       // hashes
inline constexpr char kTokenSuffix[] = ".token";  // of a file that holds one token

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_TLS_FILES_H_
