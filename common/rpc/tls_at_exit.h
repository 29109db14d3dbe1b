#ifndef COPPICE_COMMON_RPC_TLS_AT_EXIT_H_
#define COPPICE_COMMON_RPC_TLS_AT_EXIT_H_

namespace coppice::rpc {

// Keeps OpenSSL from cleaning up in exit(), while threads of gRPC may still be in a handshake.
// Otherwise the process could crash at its end. Belongs on the first line of a main.
void KeepTlsUntilTheEnd();

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_TLS_AT_EXIT_H_
