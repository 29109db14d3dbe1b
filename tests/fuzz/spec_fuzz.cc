// A sweep spec as a person writes it. Its YAML text gives a valid message, or an error that names
// the place. A valid message, printed and read again, is the same.
#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/spec_reader.h"
#include "common/spec/axes.h"
#include "common/spec/spec.h"
#include "common/spec/yaml.h"
#include "tests/fuzz/fuzz.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxGroups = 16;        // that are resolved per spec
constexpr size_t kMaxPrinted = 1 << 20;  // the reader's limit

void CheckPositions(const SpecFile& file, absl::string_view text) {
  const int lines = 1 + static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  for (const auto& [path, at] : file.positions) {
    FUZZ_CHECK(at.line >= 1 && at.line <= lines && at.column >= 1, path);
    FUZZ_CHECK(absl::StartsWith(file.Locate(path), "f.yaml:"), path);
  }
  FUZZ_CHECK(file.Locate("overrides[7].train.steps") != "", "");
}

// Each group of an accepted spec resolves to a run whose text is canonical.
void CheckRuns(const v1::SweepSpec& spec) {
  size_t groups = 0;
  const absl::Status walked = spec::ForEachPoint(spec, [&](const spec::GridPoint& point) {
    if (++groups > kMaxGroups) return absl::CancelledError();
    const double work = spec::WorkPerStep(point.run);
    FUZZ_CHECK(std::isfinite(work) && work > 0, point.task);
    const std::string json = spec::RunConfigToJson(point.run);
    const auto again = spec::RunConfigFromJson(json);
    FUZZ_CHECK(again.ok(), absl::StrCat(json, "\n", again.status().message()));
    FUZZ_CHECK(spec::RunConfigToJson(*again) == json, json);
    return absl::OkStatus();
  });
  FUZZ_CHECK(walked.ok() || absl::IsCancelled(walked), walked.message());
  FUZZ_CHECK(groups > 0, "a grid without points");
}

void CheckAccepted(const SpecFile& file, absl::string_view text) {
  FUZZ_CHECK(spec::ValidateSweepSpec(file.spec).empty(), "accepted, and not valid");
  FUZZ_CHECK(spec::SameSweep(file.spec, file.spec), "not itself");
  CheckPositions(file, text);
  CheckRuns(file.spec);
  if (file.spec.seeds_size() > 10'000) return;
  const std::string printed = spec::ToYaml(file.spec);
  if (printed.size() > kMaxPrinted) return;
  const auto again = ParseSpec(printed, "f.yaml");
  FUZZ_CHECK(again.ok(), absl::StrCat(printed, "\n", again.status().message()));
  FUZZ_CHECK(again->spec.SerializeAsString() == file.spec.SerializeAsString(), printed);
}

// At most twenty problems, each on its own line that names the file, and no control characters for
// a terminal.
void CheckRefused(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument, status.ToString());
  const std::vector<absl::string_view> lines = absl::StrSplit(status.message(), '\n');
  FUZZ_CHECK(lines.size() <= 21 && status.message().size() < 40'000, status.message());
  for (const absl::string_view line : lines) {
    FUZZ_CHECK(absl::StartsWith(line, "f.yaml:"), status.message());
    FUZZ_CHECK(std::none_of(line.begin(), line.end(),
                            [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }),
               absl::CEscape(status.message()));
  }
}

}  // namespace
}  // namespace coppice::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = coppice::fuzz::Text(data, size);
  const auto file = coppice::cli::ParseSpec(text, "f.yaml");
  if (file.ok()) {
    coppice::cli::CheckAccepted(*file, text);
  } else {
    coppice::cli::CheckRefused(file.status());
  }
  return 0;
}
