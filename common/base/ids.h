#ifndef COPPICE_COMMON_BASE_IDS_H_
#define COPPICE_COMMON_BASE_IDS_H_

#include <string>

namespace coppice {

// 128 bits from the system's random source, as 32 hex digits. They identify processes, stores and
// requests.
std::string RandomId();
// This machine's host name, or "localhost" when the system gives none.
std::string HostName();

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_IDS_H_
