#ifndef COPPICE_WORKER_DAEMON_TEXT_H_
#define COPPICE_WORKER_DAEMON_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice::worker {

// What a program wrote may be no UTF-8; a protobuf string must be. Bytes that are not part of a
// valid sequence become U+FFFD.
std::string ToValidUtf8(absl::string_view bytes);

// How many bytes at the end of `bytes` begin a sequence that is not complete yet (0 to 3).
size_t IncompleteUtf8Tail(absl::string_view bytes);

// The last `maximum` bytes, valid UTF-8.
std::string Utf8Tail(absl::string_view bytes, size_t maximum);

// The first `maximum` bytes, valid UTF-8, with "..." when something was cut.
std::string Utf8Head(absl::string_view bytes, size_t maximum);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_TEXT_H_
