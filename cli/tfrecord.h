// The framing of TensorFlow's record files, which TensorBoard reads
// (tensorflow/core/lib/io/record_writer.h).
#ifndef COPPICE_CLI_TFRECORD_H_
#define COPPICE_CLI_TFRECORD_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace coppice::cli {

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t Crc32c(absl::string_view data);

// Length (uint64), masked CRC of the length (uint32), data, masked CRC of the data (uint32), all
// little-endian. A CRC is masked so that a record inside a record does not look like one.
std::string TfRecord(absl::string_view data);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_TFRECORD_H_
