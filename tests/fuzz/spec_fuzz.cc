// A sweep spec as a person writes it. Its YAML text gives a valid message, or an error that names
// the place.
#include <google/protobuf/descriptor.h>

#include <cmath>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/spec_reader.h"
#include "common/spec/spec.h"
#include "tests/fuzz/fuzz.h"

namespace coppice::cli {
namespace {

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

// Prints the message as YAML in one line, to be read again.
std::string Print(const Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  std::string text = "{";
  for (const FieldDescriptor* field : fields) {
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
                      is_message ? Print(reflection.GetRepeatedMessage(message, field, i))
                                 : Scalar(message, *field, i));
    }
    text += "]";
  }
  return text + "}";
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
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      if (++groups > kMaxGroups) return;
      const v1::RunConfig run = spec::ResolveRun(spec, task, depth);
      FUZZ_CHECK(std::isfinite(spec::WorkPerStep(run)) && spec::WorkPerStep(run) > 0, task);
      const std::string json = spec::RunConfigToJson(run);
      const auto again = spec::RunConfigFromJson(json);
      FUZZ_CHECK(again.ok(), absl::StrCat(json, "\n", again.status().message()));
      FUZZ_CHECK(spec::RunConfigToJson(*again) == json, json);
    }
  }
}

void CheckAccepted(const SpecFile& file, absl::string_view text) {
  FUZZ_CHECK(spec::ValidateSweepSpec(file.spec).empty(), "accepted, and not valid");
  FUZZ_CHECK(spec::SameSweep(file.spec, file.spec), "not itself");
  CheckPositions(file, text);
  CheckRuns(file.spec);
  if (file.spec.seeds_size() > 10'000) return;
  const std::string printed = Print(file.spec);
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
