#include "common/rpc/tls_at_exit.h"

#include <openssl/crypto.h>

namespace coppice::rpc {

void KeepTlsUntilTheEnd() { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

}  // namespace coppice::rpc
