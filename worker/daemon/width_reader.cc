#include "worker/daemon/width_reader.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

using Json = nlohmann::json;

constexpr double kNearlyBest = 0.95;
constexpr size_t kMaxLineBytes = 64 << 10;
constexpr uint64_t kMaxBytes = uint64_t{1} << 60;

absl::StatusOr<uint64_t> Whole(const Json& json, const char* key, uint64_t least, uint64_t most) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_number_unsigned() || it->get<uint64_t>() < least ||
      it->get<uint64_t>() > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", key, "` is not an integer from ", least, " to ", most));
  }
  return it->get<uint64_t>();
}

}  // namespace

uint32_t BestWidth(const std::vector<MeasuredWidth>& measured) {
  double fastest = 0;
  for (const MeasuredWidth& one : measured) {
    fastest = std::max(fastest, one.seed_steps_per_second);
  }
  uint32_t best = 0;
  for (const MeasuredWidth& one : measured) {
    const bool nearly = one.seed_steps_per_second >= kNearlyBest * fastest;
    if (nearly && (best == 0 || one.width < best)) best = one.width;
  }
  return std::max(best, 1u);
}

std::string DescribeWidths(const std::vector<MeasuredWidth>& measured) {
  std::string text;
  for (const MeasuredWidth& one : measured) {
    absl::StrAppendFormat(&text, "%s%d: %.3g", text.empty() ? "" : ", ", one.width,
                          one.seed_steps_per_second);
  }
  return text;
}

absl::StatusOr<MeasuredWidth> WidthFromJson(const Json& json, uint32_t widest) {
  if (!json.is_object()) return absl::InvalidArgumentError("a width is not an object");
  MeasuredWidth measured;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t width, Whole(json, "width", 1, widest));
  COPPICE_ASSIGN_OR_RETURN(measured.peak_bytes, Whole(json, "peak_bytes", 0, kMaxBytes));
  const auto rate = json.find("seed_steps_per_second");
  if (rate == json.end() || !rate->is_number() || !std::isfinite(rate->get<double>()) ||
      rate->get<double>() < 0) {
    return absl::InvalidArgumentError("`seed_steps_per_second` is not a finite number from 0");
  }
  measured.width = static_cast<uint32_t>(width);
  measured.seed_steps_per_second = rate->get<double>();
  return measured;
}

absl::Status WidthReader::Feed(absl::string_view bytes) {
  rest_.append(bytes.data(), bytes.size());
  size_t begin = 0;
  for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    COPPICE_RETURN_IF_ERROR(Line(absl::string_view(rest_).substr(begin, end - begin)));
  }
  rest_.erase(0, begin);
  if (rest_.size() > kMaxLineBytes) return absl::InvalidArgumentError("a line has no end");
  return absl::OkStatus();
}

absl::Status WidthReader::Line(absl::string_view line) {
  const Json event = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) return absl::InvalidArgumentError("a line is not a JSON object");
  const auto name = event.find("event");
  // Other events are for people. A width that did not fit has no speed.
  if (name == event.end() || *name != "width" || event.contains("failed")) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const MeasuredWidth measured, WidthFromJson(event, widest_));
  const auto before =
      std::find_if(measured_.begin(), measured_.end(),
                   [&](const MeasuredWidth& one) { return one.width == measured.width; });
  if (before == measured_.end()) {
    measured_.push_back(measured);
  } else if (before->seed_steps_per_second < measured.seed_steps_per_second) {
    *before = measured;
  }
  return absl::OkStatus();
}

}  // namespace coppice::worker
