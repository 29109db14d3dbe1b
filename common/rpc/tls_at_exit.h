#ifndef COPPICE_COMMON_RPC_TLS_AT_EXIT_H_
#define COPPICE_COMMON_RPC_TLS_AT_EXIT_H_

namespace coppice::rpc {

// Keeps OpenSSL from tearing itself down in exit(), where threads of gRPC may still be shaking
// hands: a process that ends then would crash. For the first line of a main.
void KeepTlsUntilTheEnd();

}  // namespace coppice::rpc

#endif  // COPPICE_COMMON_RPC_TLS_AT_EXIT_H_
