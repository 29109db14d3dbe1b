#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <optional>

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

namespace {

// A run as RunConfigToJson writes it. nullopt: it has another form, which may be valid too.
std::optional<v1::RunConfig> ReadPlain(const nlohmann::json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto task = json.find("task");
  const auto depth = json.find("depth");
  if (task == json.end() || !task->is_string() || task->get_ref<const std::string&>().empty() ||
      depth == json.end() || !depth->is_number_unsigned() || depth->get<uint64_t>() == 0)
    return std::nullopt;
  // Text from an older version lacks newer settings.
  v1::RunConfig run = DefaultRun(task->get<std::string>());
  if (!SetValuesFromJson(json, &run)) return std::nullopt;
  return run;
}

}  // namespace

absl::StatusOr<v1::RunConfig> RunConfigFromJson(const std::string& json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.contains("program")) return ProgramRunFromJson(parsed);
  // A sweep of ten thousand groups is answered with as many runs, and the general reader below
  // takes ten times as long.
  if (const std::optional<v1::RunConfig> run = ReadPlain(parsed); run) return *run;
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
