#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/spec/internal.h"
#include "common/spec/json_options.h"
#include "common/spec/program.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

// protobuf 26 renamed the option.
template <typename Options>
void WriteDefaults(Options* options) {
  if constexpr (requires { options->always_print_fields_with_no_presence; }) {
    options->always_print_fields_with_no_presence = true;
  } else {
    options->always_print_primitive_fields = true;
  }
}

}  // namespace

google::protobuf::util::JsonPrintOptions JsonOptions() {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  WriteDefaults(&options);
  return options;
}

std::string RunConfigToJson(const v1::RunConfig& run) {
  if (run.has_program()) return ProgramRunToJson(run);
  std::string json;
  // Fails only on invalid UTF-8, which validation excludes.
  if (!google::protobuf::util::MessageToJsonString(run, &json, JsonOptions()).ok()) json.clear();
  return json;
}

absl::StatusOr<v1::RunConfig> RunConfigFromJson(const std::string& json) {
  if (absl::StrContains(json, "\"program\"")) {
    const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_object() && parsed.contains("program")) return ProgramRunFromJson(parsed);
  }
  v1::RunConfig read;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &read);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a run configuration: ",
                     std::string(status.message().data(), status.message().size())));
  }
  if (read.task().empty() || read.depth() == 0) {
    return absl::InvalidArgumentError("a run configuration needs a task and a depth of at least 1");
  }
  // Text from an older version lacks newer settings.
  v1::RunConfig run = DefaultRun(read.task());
  run.MergeFrom(read);
  return run;
}

}  // namespace coppice::spec
