// What `coppice-trainer measure` prints (docs/trainer-protocol.md), checked, and what follows from
// it.
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

// The narrowest width that is within 5 % of the fastest: what more would gain lies within what two
// measurements of the same thing differ by, and takes memory, and jobs that another slot could
// train. 1 when nothing was measured.
uint32_t BestWidth(const std::vector<MeasuredWidth>& measured);
// "1: 12.1, 2: 23.4", in seed-steps a second.
std::string DescribeWidths(const std::vector<MeasuredWidth>& measured);

// As the trainer prints one and the cache keeps it. INVALID_ARGUMENT names the field: a width not
// from 1 to `widest`, a number that is not finite or below 0.
absl::StatusOr<MeasuredWidth> WidthFromJson(const nlohmann::json& json, uint32_t widest);

// Splits the output into lines and keeps what was measured: of a width that comes twice the faster
// one, as what disturbs a measurement makes it slower. Not thread-safe.
class WidthReader {
 public:
  explicit WidthReader(uint32_t widest) : widest_(widest) {}

  // INVALID_ARGUMENT for what no trainer prints; what came before stays good.
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
