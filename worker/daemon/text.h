#ifndef COPPICE_WORKER_DAEMON_TEXT_H_
#define COPPICE_WORKER_DAEMON_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice::worker {

// Replaces bytes that are not part of a valid UTF-8 sequence by U+FFFD. Output of a program may be
// invalid UTF-8, but a protobuf string must be valid.
std::string ToValidUtf8(absl::string_view bytes);

// Returns the number of bytes at the end of `bytes` that begin an incomplete sequence (0 to 3).
size_t IncompleteUtf8Tail(absl::string_view bytes);

// The last `maximum` bytes, valid UTF-8.
std::string Utf8Tail(absl::string_view bytes, size_t maximum);

// The first `maximum` bytes, valid UTF-8, with "..." if something was cut.
std::string Utf8Head(absl::string_view bytes, size_t maximum);

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_TEXT_H_
