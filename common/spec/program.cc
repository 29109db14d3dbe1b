#include "common/spec/program.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/base/printable.h"
#include "common/settings/table.h"
#include "common/spec/internal.h"

namespace coppice::spec {
namespace {

using nlohmann::json;

constexpr size_t kMaxWordBytes = 4'096;
constexpr std::array<absl::string_view, 6> kSettings = {
    "train.steps",      "report.every",    "report.stall_seconds",
    "checkpoint.every", "checkpoint.keep", "checkpoint.keep_every"};

// Text that MessageToJson or a user wrote, in one form for equal values.
std::string Canonical(const std::string& text) {
  const std::optional<json> scalar = ProgramScalar(text);
  return scalar ? scalar->dump() : text;
}

json ProgramToJson(const v1::Program& program) {
  json settings = json::object();
  for (const v1::ProgramSetting& setting : program.settings())
    settings[setting.name()] = ProgramScalar(setting.value()).value_or(json());
  json environment = json::object();
  for (const v1::EnvironmentVariable& variable : program.environment())
    environment[variable.name()] = variable.value();
  json out = {
      {"command", std::vector<std::string>(program.command().begin(), program.command().end())},
      {"directory", program.directory()},
      {"environment", std::move(environment)},
      {"settings", std::move(settings)},
      {"pack", program.pack()}};
  if (program.has_time_limit()) out["time_limit"] = program.time_limit();
  if (program.has_gpus()) out["gpus"] = program.gpus();
  if (program.has_threads()) out["threads"] = program.threads();
  return out;
}

// Throws what nlohmann throws if the text has another form.
v1::Program ProgramFromJson(const json& in) {
  v1::Program program;
  for (const json& word : in.at("command")) program.add_command(word.get<std::string>());
  program.set_directory(in.at("directory").get<std::string>());
  for (const auto& [name, value] : in.at("environment").items()) {
    v1::EnvironmentVariable* variable = program.add_environment();
    variable->set_name(name);
    variable->set_value(value.get<std::string>());
  }
  for (const auto& [name, value] : in.at("settings").items()) {
    v1::ProgramSetting* setting = program.add_settings();
    setting->set_name(name);
    setting->set_value(value.dump());
  }
  program.set_pack(in.at("pack").get<uint32_t>());
  if (in.contains("time_limit")) program.set_time_limit(in["time_limit"].get<uint32_t>());
  if (in.contains("gpus")) program.set_gpus(in["gpus"].get<uint32_t>());
  if (in.contains("threads")) program.set_threads(in["threads"].get<uint32_t>());
  return program;
}

}  // namespace

bool IsSettingOfPrograms(absl::string_view path) { return absl::c_linear_search(kSettings, path); }

std::optional<json> ProgramScalar(const std::string& text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_boolean()) return value;
  if (value.is_number_float() && std::isfinite(value.get<double>())) return value;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  if (value.is_number_integer()) return value;
  if (!value.is_string()) return std::nullopt;
  const auto& word = value.get_ref<const std::string&>();
  if (!IsPrintable(word) || word.size() > kMaxWordBytes) return std::nullopt;
  return value;
}

std::string ProgramValueName(const json& scalar) {
  if (scalar.is_string()) return scalar.get<std::string>();
  if (scalar.is_boolean()) return scalar.get<bool>() ? "true" : "false";
  if (scalar.is_number_float()) return settings::ValueText(scalar.get<double>());
  return settings::ValueText(scalar.get<int64_t>());
}

bool SameKind(const json& a, const json& b) {
  return (a.is_number() && b.is_number()) || (a.is_string() && b.is_string()) ||
         (a.is_boolean() && b.is_boolean());
}

v1::RunConfig DefaultProgramRun(const v1::Program& program) {
  v1::RunConfig run;
  const auto& settings = settings::RunSettings().settings();
  for (size_t i = 0; i < settings.size(); ++i) {
    const settings::Setting& setting = settings[i];
    // The number of steps is the program's own affair.
    if (!IsSettingOfPrograms(setting.path) || setting.path == "train.steps") continue;
    if (setting.default_value) SetValueIn(i, *setting.default_value, &run);
  }
  *run.mutable_program() = program;
  run.mutable_program()->clear_primary();
  if (!program.has_pack()) run.mutable_program()->set_pack(1);
  for (v1::ProgramSetting& setting : *run.mutable_program()->mutable_settings())
    setting.set_value(Canonical(setting.value()));
  return run;
}

std::string ProgramRunToJson(const v1::RunConfig& run) {
  json report = {{"every", run.report().every()}};
  if (run.report().has_stall_seconds()) report["stall_seconds"] = run.report().stall_seconds();
  const json out = {{"train", {{"steps", run.train().steps()}}},
                    {"report", std::move(report)},
                    {"checkpoint",
                     {{"every", run.checkpoint().every()},
                      {"keep", run.checkpoint().keep()},
                      {"keep_every", run.checkpoint().keep_every()}}},
                    {"program", ProgramToJson(run.program())}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<v1::RunConfig> ProgramRunFromJson(const json& in) {
  try {
    v1::RunConfig run = DefaultProgramRun(ProgramFromJson(in.at("program")));
    run.mutable_train()->set_steps(in.at("train").at("steps").get<uint32_t>());
    const json& report = in.at("report");
    run.mutable_report()->set_every(report.at("every").get<uint32_t>());
    if (report.contains("stall_seconds"))
      run.mutable_report()->set_stall_seconds(report["stall_seconds"].get<uint32_t>());
    const json& checkpoint = in.at("checkpoint");
    run.mutable_checkpoint()->set_every(checkpoint.at("every").get<uint32_t>());
    run.mutable_checkpoint()->set_keep(checkpoint.at("keep").get<uint32_t>());
    run.mutable_checkpoint()->set_keep_every(checkpoint.at("keep_every").get<uint32_t>());
    return run;
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the run configuration of a program: ", error.what()));
  }
}

}  // namespace coppice::spec
