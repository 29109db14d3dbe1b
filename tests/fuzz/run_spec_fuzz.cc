// The run spec that starts a trainer, and the same `run` object that the coordinator reads from its
// database.
#include "absl/strings/str_cat.h"
#include "common/spec/spec.h"
#include "tests/fuzz/fuzz.h"
#include "worker/trainer/config/config.h"

namespace coppice::trainer {
namespace {

// Writing a run out and reading it again gives the same run.
void CheckRun(const RunConfig& run) {
  const nlohmann::json json = ToJson(run);
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const auto again = ParseRunConfigText(text);
  FUZZ_CHECK(again.ok(), absl::StrCat(text, "\n", again.status().message()));
  FUZZ_CHECK(ToJson(*again) == json, text);
  FUZZ_CHECK(DescribeDifference(run, *again).empty(), DescribeDifference(run, *again));
}

void CheckRefused(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument, status.ToString());
  FUZZ_CHECK(!status.message().empty(), "an error that says nothing");
}

void ReadAsTrainer(absl::string_view text) {
  const auto pack = ParsePackSpecText(text);
  if (pack.ok()) {
    FUZZ_CHECK(!pack->members.empty(), "a pack of nobody");
    CheckRun(pack->run);
  } else {
    CheckRefused(pack.status());
  }
  const auto run = ParseRunConfigText(text);
  run.ok() ? CheckRun(*run) : CheckRefused(run.status());
}

void ReadAsCoordinator(const std::string& text) {
  const auto run = spec::RunConfigFromJson(text);
  if (!run.ok()) return CheckRefused(run.status());
  const std::string json = spec::RunConfigToJson(*run);
  FUZZ_CHECK(!json.empty(), "cannot be written");
  const auto again = spec::RunConfigFromJson(json);
  FUZZ_CHECK(again.ok(), absl::StrCat(json, "\n", again.status().message()));
  FUZZ_CHECK(spec::RunConfigToJson(*again) == json, json);
}

}  // namespace
}  // namespace coppice::trainer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(coppice::fuzz::Text(data, size));
  coppice::trainer::ReadAsTrainer(text);
  coppice::trainer::ReadAsCoordinator(text);
  const auto seeds = coppice::trainer::ParseSeeds(text);
  FUZZ_CHECK(!seeds.ok() || !seeds->empty(), "no seeds, and no error");
  return 0;
}
