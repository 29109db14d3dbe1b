// Reads and checks the output of `coppice-trainer measure` (docs/trainer-protocol.md), and chooses
// a width from it.
#ifndef COPPICE_WORKER_DAEMON_WIDTH_READER_H_
#define COPPICE_WORKER_DAEMON_WIDTH_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json_fwd.hpp"

namespace coppice::worker {

struct MeasuredWidth {
  uint32_t width = 0;
  double seed_steps_per_second = 0;
  uint64_t peak_bytes = 0;
};

// Returns the narrowest width within 5 % of the fastest. A smaller gain is within the noise between
// two measurements, and a wider pack takes memory, and jobs that another slot could train. 1 if
// nothing was measured.
uint32_t BestWidth(const std::vector<MeasuredWidth>& measured);
// Describes the widths as "1: 12.1, 2: 23.4", in seed-steps a second.
std::string DescribeWidths(const std::vector<MeasuredWidth>& measured);

// Reads a width in the form that the trainer prints and the cache keeps. INVALID_ARGUMENT names the
// field: a width outside 1 to `widest`, a number that is not finite or below 0.
absl::StatusOr<MeasuredWidth> WidthFromJson(const nlohmann::json& json, uint32_t widest);

// Splits the output into lines and keeps the measurements. Of a width that comes twice it keeps the
// faster one, since disturbances only slow a measurement down. Not thread-safe.
class WidthReader {
 public:
  explicit WidthReader(uint32_t widest) : widest_(widest) {}

  // INVALID_ARGUMENT for output that no trainer prints. Earlier measurements stay valid.
  absl::Status Feed(absl::string_view bytes);
  const std::vector<MeasuredWidth>& measured() const { return measured_; }

 private:
  absl::Status Line(absl::string_view line);

  const uint32_t widest_;
  std::string rest_;
  std::vector<MeasuredWidth> measured_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_WIDTH_READER_H_
