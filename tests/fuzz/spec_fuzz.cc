// A sweep spec as a person writes it. Its YAML text gives a valid message, or an error that names
// the place.
#include <google/protobuf/descriptor.h>

#include <cmath>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/spec_reader.h"
#include "common/spec/axes.h"
#include "common/spec/spec.h"
#include "tests/fuzz/fuzz.h"

namespace coppice::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxGroups = 16;        // that are resolved per spec
constexpr size_t kMaxPrinted = 1 << 20;  // the reader's limit

std::string Scalar(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(list ? reflection.GetRepeatedUInt32(message, &field, index)
                               : reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      char digits[40];
      std::snprintf(digits, sizeof(digits), "%.17g", reflection.GetDouble(message, &field));
      return digits;
    }
    default: {
      const std::string text = list ? reflection.GetRepeatedString(message, &field, index)
                                    : reflection.GetString(message, &field);
      // Single quotes in YAML have only one escape.
      return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
    }
  }
}

std::string PrintItem(const Message& message);

// The parts of a spec that a file writes in another form than their messages have.
bool IsApart(const FieldDescriptor& field) {
  const Descriptor* type = field.message_type();
  return field.containing_type() == v1::AxisSettings::descriptor()
             ? type == v1::ProgramSetting::descriptor()
             : type == v1::Axis::descriptor() || type == v1::Exclude::descriptor() ||
                   type == v1::Program::descriptor() || type == v1::Where::descriptor() ||
                   type == v1::ProgramSetting::descriptor();
}

// Prints the message as YAML in one line, to be read again, without what PrintApart prints.
std::string Print(const Message& message, const std::string& first = "") {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  std::string text = absl::StrCat("{", first);
  for (const FieldDescriptor* field : fields) {
    if (IsApart(*field)) continue;
    absl::StrAppend(&text, text.size() > 1 ? ", " : "", field->name(), ": ");
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      text +=
          is_message ? Print(reflection.GetMessage(message, field)) : Scalar(message, *field, 0);
      continue;
    }
    text += "[";
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      absl::StrAppend(&text, i > 0 ? ", " : "",
                      is_message ? PrintItem(reflection.GetRepeatedMessage(message, field, i))
                                 : Scalar(message, *field, i));
    }
    text += "]";
  }
  return text + "}";
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

std::string Settings(const google::protobuf::RepeatedPtrField<v1::ProgramSetting>& settings) {
  std::vector<std::string> entries;
  for (const v1::ProgramSetting& setting : settings)
    entries.push_back(absl::StrCat(setting.name(), ": ", setting.value()));
  return absl::StrJoin(entries, ", ");
}

// A word may look like null, a number may not be quoted.
std::string AxisScalarText(const v1::AxisValue& value) {
  const v1::AxisSettings& settings = value.settings();
  const bool word = settings.program_size() > 0
                        ? absl::StartsWith(settings.program(0).value(), "\"")
                        : settings.has_task() || settings.train().has_precision() ||
                              settings.data().has_files() || settings.data().has_directory();
  return word ? Quoted(value.name()) : value.name();
}

std::string Axes(const v1::SweepSpec& spec) {
  std::vector<std::string> axes;
  for (const v1::Axis& axis : spec.axes()) {
    const bool scalars = spec::IsSettingAxis(spec, axis.name());
    std::vector<std::string> values;
    for (const v1::AxisValue& value : axis.values()) {
      values.push_back(
          scalars ? AxisScalarText(value)
                  : absl::StrCat(Quoted(value.name()), ": ",
                                 Print(value.settings(), Settings(value.settings().program()))));
    }
    const std::string list = absl::StrJoin(values, ", ");
    axes.push_back(absl::StrCat(axis.name(), ": ", scalars ? "[" : "{", list, scalars ? "]" : "}"));
  }
  return absl::StrCat("axes: {", absl::StrJoin(axes, ", "), "}");
}

std::string Conditions(const google::protobuf::RepeatedPtrField<v1::AxisCondition>& conditions,
                       const v1::SweepSpec& spec) {
  std::vector<std::string> texts;
  for (const v1::AxisCondition& condition : conditions) {
    const auto axes = spec::AxesOf(spec);
    const v1::Axis* axis = spec::FindAxis(axes, condition.axis());
    FUZZ_CHECK(axis != nullptr, condition.axis());
    std::vector<std::string> values;
    for (const std::string& name : condition.values()) {
      for (const v1::AxisValue& value : axis->values()) {
        if (value.name() != name) continue;
        values.push_back(spec::IsSettingAxis(spec, axis->name()) ? AxisScalarText(value)
                                                                 : Quoted(name));
        break;
      }
    }
    texts.push_back(absl::StrCat(condition.axis(), ": [", absl::StrJoin(values, ", "), "]"));
  }
  return absl::StrJoin(texts, ", ");
}

std::string PrintProgram(const v1::Program& program) {
  std::vector<std::string> parts = {absl::StrCat("settings: {", Settings(program.settings()), "}")};
  std::vector<std::string> words;
  for (const std::string& word : program.command()) words.push_back(Quoted(word));
  parts.push_back(absl::StrCat("command: [", absl::StrJoin(words, ", "), "]"));
  words.clear();
  for (const v1::EnvironmentVariable& variable : program.environment())
    words.push_back(absl::StrCat(variable.name(), ": ", Quoted(variable.value())));
  parts.push_back(absl::StrCat("environment: {", absl::StrJoin(words, ", "), "}"));
  words.clear();
  for (const std::string& name : program.primary()) words.push_back(Quoted(name));
  if (!words.empty())
    parts.push_back(absl::StrCat("metrics: {primary: [", absl::StrJoin(words, ", "), "]}"));
  parts.push_back(absl::StrCat("directory: ", Quoted(program.directory())));
  if (program.has_pack()) parts.push_back(absl::StrCat("pack: ", program.pack()));
  if (program.has_time_limit())
    parts.push_back(absl::StrCat("time_limit: ", program.time_limit(), "s"));
  words.clear();
  if (program.has_gpus()) words.push_back(absl::StrCat("gpus: ", program.gpus()));
  if (program.has_threads()) words.push_back(absl::StrCat("threads: ", program.threads()));
  parts.push_back(absl::StrCat("resources: {", absl::StrJoin(words, ", "), "}"));
  return absl::StrCat("program: {", absl::StrJoin(parts, ", "), "}");
}

thread_local const v1::SweepSpec* printed_spec = nullptr;

std::string PrintItem(const Message& message) {
  if (message.GetDescriptor() != v1::Override::descriptor()) return Print(message);
  const auto& change = static_cast<const v1::Override&>(message);
  std::vector<std::string> parts;
  if (change.settings_size() > 0)
    parts.push_back(absl::StrCat("settings: {", Settings(change.settings()), "}"));
  if (change.has_where()) {
    v1::Where lists = change.where();
    lists.clear_axes();
    parts.push_back(
        absl::StrCat("where: ", Print(lists, Conditions(change.where().axes(), *printed_spec))));
  }
  return Print(change, absl::StrJoin(parts, ", "));
}

std::string PrintSpec(const v1::SweepSpec& spec) {
  printed_spec = &spec;
  std::vector<std::string> parts;
  if (spec.axes_size() > 0) parts.push_back(Axes(spec));
  if (spec.exclude_size() > 0) {
    std::vector<std::string> excludes;
    for (const v1::Exclude& exclude : spec.exclude())
      excludes.push_back(absl::StrCat("{", Conditions(exclude.where(), spec), "}"));
    parts.push_back(absl::StrCat("exclude: [", absl::StrJoin(excludes, ", "), "]"));
  }
  if (spec.has_program()) parts.push_back(PrintProgram(spec.program()));
  return Print(spec, absl::StrJoin(parts, ", "));
}

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
  const std::string printed = PrintSpec(file.spec);
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
