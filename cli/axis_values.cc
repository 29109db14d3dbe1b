#include "cli/axis_values.h"

#include <google/protobuf/descriptor.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/limits.h"
#include "common/settings/table.h"

namespace coppice::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr uint64_t kMaxAxisValues = 20'000;
constexpr uint32_t kMaxPoints = 1'000;

AxisScalar Whole(int64_t number) {
  return {absl::StrCat(number), settings::Value(number), absl::StrCat(number)};
}

// A JSON number with a point or an exponent, so that a program reads no whole number.
AxisScalar Number(double number) {
  if (number == 0) number = 0;  // no minus before a zero
  const std::string text = settings::ValueText(settings::Value(number));
  const bool whole = text.find_first_of(".e") == std::string::npos;
  return {text, settings::Value(number), whole ? absl::StrCat(text, ".0") : text};
}

AxisScalar Word(const std::string& text) {
  return {text, settings::Value(text),
          nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

AxisScalar TrueFalse(bool value) {
  const std::string text = value ? "true" : "false";
  return {text, settings::Value(text), text};
}

const char* ExpectedOf(ValueKind kind) {
  switch (kind) {
    case ValueKind::kWhole:
      return "a whole number";
    case ValueKind::kNumber:
    case ValueKind::kAnyNumber:
      return "a number";
    case ValueKind::kTrueFalse:
      return "true or false";
    case ValueKind::kWord:
      break;
  }
  return "a word";
}

bool TakesRanges(ValueKind kind) {
  return kind == ValueKind::kWhole || kind == ValueKind::kAnyNumber;
}

std::optional<AxisScalar> ParseWhole(const std::string& text) {
  uint32_t value = 0;
  if (!IsWhole(text) || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return Whole(int64_t{value});
}

std::optional<AxisScalar> ParseNumber(const std::string& text) {
  double value = 0;
  const bool digit = text.find_first_of("0123456789") != std::string::npos;
  if (!digit || !absl::SimpleAtod(text, &value) || !std::isfinite(value)) return std::nullopt;
  return Number(value);
}

// A number of a program may be negative and, up to 2^53, whole.
std::optional<AxisScalar> ParseAnyNumber(const std::string& text) {
  int64_t whole = 0;
  if (IsWhole(text) && text != "-0" && absl::SimpleAtoi(text, &whole) &&
      std::abs(whole) <= int64_t{1} << 53) {
    return Whole(whole);
  }
  // A leading zero makes an octal number of it for other readers.
  absl::string_view digits = text;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  if (digits.size() > 1 && digits[0] == '0' && absl::ascii_isdigit(digits[1])) return std::nullopt;
  return ParseNumber(text);
}

void NotOfKind(const YAML::Node& node, const std::string& path, const SettingForm& form,
               YamlNotes* notes) {
  const std::string& text = node.Scalar();
  std::string remedy;
  if (form.kind == ValueKind::kWhole && IsWhole(text)) {
    notes->Add(node, path,
               absl::StrCat("is ", Quote(text), "; use a whole number from 0 to 4294967295"));
    return;
  }
  if (form.kind == ValueKind::kWhole) {
    notes->Add(node, path,
               absl::StrCat("is ", Quote(text), ", not a whole number; ", WholeNumberHint(text)));
  } else if (form.kind == ValueKind::kTrueFalse) {
    notes->Add(node, path, absl::StrCat("is ", Quote(text), "; use true or false"));
  } else {
    notes->Add(node, path,
               absl::StrCat("is ", Quote(text),
                            ", not a finite number; use one like 0.1 or 1e-4, or for points "
                            "between two ends `1e-5..1e-2 log 4`"));
  }
}

// Three significant digits. The reading of their text gives the number that a person would write.
double Rounded(double value) {
  char digits[40];
  std::snprintf(digits, sizeof(digits), "%.2e", value);
  double rounded = 0;
  return absl::SimpleAtod(digits, &rounded) ? rounded : value;
}

struct Points {
  std::string first;
  std::string last;
  bool log = false;
  uint32_t count = 0;
};

// Parses "1e-5..1e-2 log 4". False: it has another form.
bool ParsePoints(const std::string& text, Points* points) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipWhitespace());
  if (words.size() < 3) return false;
  const std::string& kind = words[words.size() - 2];
  std::string ends;
  for (size_t i = 0; i + 2 < words.size(); ++i) ends += words[i];
  const size_t dots = ends.find("..");
  if ((kind != "log" && kind != "lin") || dots == std::string::npos || !IsWhole(words.back()) ||
      !absl::SimpleAtoi(words.back(), &points->count)) {
    return false;
  }
  points->first = ends.substr(0, dots);
  points->last = ends.substr(dots + 2);
  points->log = kind == "log";
  return true;
}

// The mistake in points that were parsed, with the remedy; empty: none.
std::string WrongPoints(const Points& points, const SettingForm& form, double first, double last) {
  const char* kind = points.log ? "log" : "lin";
  if (points.count < 2 || points.count > kMaxPoints)
    return absl::StrCat("asks for ", points.count, " points; use from 2 to ", kMaxPoints);
  if (first >= last) {
    return absl::StrCat("has ends that do not rise; write ", points.last, "..", points.first, " ",
                        kind, " ", points.count);
  }
  if (points.log && first <= 0)
    return "has an end that is not above 0; use `lin`, or a first end above 0";
  if (form.kind == ValueKind::kWhole && (!ParseWhole(points.first) || !ParseWhole(points.last)))
    return "has an end that is no whole number; use whole ones";
  return "";
}

// Expands the points. The ends stay as they are written, those between have three digits.
bool ReadPoints(const YAML::Node& node, const std::string& path, const SettingForm& form,
                const Points& points, YamlNotes* notes, std::vector<AxisScalar>* values) {
  const auto first = ParseNumber(points.first);
  const auto last = ParseNumber(points.last);
  const auto bad = [&](const std::string& what) {
    notes->Add(node, path, absl::StrCat("has ", Quote(node.Scalar()), ", which ", what));
    return false;
  };
  if (!first || !last) return bad("has an end that is no number; write for example 1e-5..1e-2");
  const double low = std::get<double>(first->value);
  const double high = std::get<double>(last->value);
  if (const std::string wrong = WrongPoints(points, form, low, high); !wrong.empty())
    return bad(wrong);
  std::set<std::string> names;
  for (uint32_t i = 0; i < points.count; ++i) {
    const double part = static_cast<double>(i) / (points.count - 1);
    double value = points.log ? low * std::pow(high / low, part) : low + (high - low) * part;
    value = i == 0 ? low : i + 1 == points.count ? high : Rounded(value);
    const bool whole = value == std::floor(value) && std::abs(value) < 9e15;
    if (form.kind == ValueKind::kWhole && !whole) {
      return bad(absl::StrCat("has a point at ", settings::ValueText(settings::Value(value)),
                              ", which is no whole number; list the values"));
    }
    const bool as_whole =
        form.kind == ValueKind::kWhole || (form.kind == ValueKind::kAnyNumber && whole &&
                                           IsWhole(points.first) && IsWhole(points.last));
    AxisScalar scalar = as_whole ? Whole(static_cast<int64_t>(value)) : Number(value);
    if (!names.insert(scalar.name).second) {
      return bad(absl::StrCat("has the point ", scalar.name,
                              " twice, with three digits each; use fewer points"));
    }
    values->push_back(std::move(scalar));
  }
  return true;
}

bool ReadWholeRange(const YAML::Node& node, const std::string& path,
                    const std::pair<std::string, std::string>& ends, YamlNotes* notes,
                    std::vector<AxisScalar>* values) {
  uint32_t first = 0;
  uint32_t last = 0;
  const std::string shown = absl::StrCat("has the range ", node.Scalar());
  if (!absl::SimpleAtoi(ends.first, &first) || !absl::SimpleAtoi(ends.second, &last)) {
    notes->Add(node, path, absl::StrCat(shown, "; use whole numbers from 0 to 4294967295"));
    return false;
  }
  if (first > last) {
    notes->Add(node, path, absl::StrCat(shown, ", which is empty; write ", last, "-", first));
    return false;
  }
  if (uint64_t{last} - first + 1 > kMaxAxisValues) {
    notes->Add(node, path,
               absl::StrCat(shown, ", which makes ", uint64_t{last} - first + 1,
                            " values; use at most ", kMaxAxisValues));
    return false;
  }
  for (uint64_t value = first; value <= last; ++value)
    values->push_back(Whole(static_cast<int64_t>(value)));
  return true;
}

SettingForm FormOf(const settings::Setting& setting) {
  ValueKind kind = ValueKind::kWord;
  if (std::holds_alternative<settings::IntegerRange>(setting.range)) kind = ValueKind::kWhole;
  if (std::holds_alternative<settings::NumberRange>(setting.range)) kind = ValueKind::kNumber;
  return {setting.path, kind, false};
}

ValueKind KindOfJson(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_boolean()) return ValueKind::kTrueFalse;
  return json.is_number() ? ValueKind::kAnyNumber : ValueKind::kWord;
}

}  // namespace

SettingForms::SettingForms(const v1::Program* program) {
  for (const settings::Setting& setting : settings::RunSettings().settings())
    forms_[setting.path] = FormOf(setting);
  if (program == nullptr) return;
  for (const v1::ProgramSetting& setting : program->settings())
    forms_[setting.name()] = {setting.name(), KindOfJson(setting.value()), true};
}

const SettingForm* SettingForms::Find(const std::string& name) const {
  const auto found = forms_.find(name);
  return found == forms_.end() ? nullptr : &found->second;
}

bool SettingForms::IsGroup(const std::string& name) const {
  const std::string prefix = absl::StrCat(name, ".");
  const auto next = forms_.lower_bound(prefix);
  return next != forms_.end() && absl::StartsWith(next->first, prefix);
}

std::vector<std::string> SettingForms::Names() const {
  std::vector<std::string> names;
  names.reserve(forms_.size());
  for (const auto& [name, form] : forms_) names.push_back(name);
  return names;
}

std::optional<AxisScalar> ReadSettingValue(const YAML::Node& node, const std::string& path,
                                           const SettingForm& form, YamlNotes* notes) {
  if (!CheckPlainScalar(node, path, ExpectedOf(form.kind), notes)) return std::nullopt;
  const std::string& text = node.Scalar();
  if (form.kind == ValueKind::kWord) return Word(text);
  if (node.Tag() == "!") {
    notes->Add(node, path,
               absl::StrCat("is text in quotes; use ", ExpectedOf(form.kind), " without quotes"));
    return std::nullopt;
  }
  std::optional<AxisScalar> value;
  if (form.kind == ValueKind::kTrueFalse) {
    if (text == "true" || text == "false") value = TrueFalse(text == "true");
  } else {
    value = form.kind == ValueKind::kWhole    ? ParseWhole(text)
            : form.kind == ValueKind::kNumber ? ParseNumber(text)
                                              : ParseAnyNumber(text);
  }
  if (!value) NotOfKind(node, path, form, notes);
  return value;
}

bool ReadAxisScalars(const YAML::Node& node, const std::string& path, const SettingForm& form,
                     YamlNotes* notes, std::vector<AxisScalar>* values) {
  if (node.IsScalar() && !node.IsNull() && node.Tag() != "!" && form.kind != ValueKind::kWord) {
    std::pair<std::string, std::string> ends;
    if (TakesRanges(form.kind) && IsRange(node.Scalar(), &ends) && ends.first[0] != '-')
      return ReadWholeRange(node, path, ends, notes, values);
    Points points;
    if (form.kind != ValueKind::kTrueFalse && ParsePoints(node.Scalar(), &points))
      return ReadPoints(node, path, form, points, notes, values);
    if (absl::StrContains(node.Scalar(), "..")) {
      notes->Add(node, path,
                 absl::StrCat("is ", Quote(node.Scalar()),
                              ", no points; write the ends and how many, `1e-5..1e-2 log 4` or "
                              "`0..0.3 lin 4`, or whole numbers as 0-9"));
      return false;
    }
  }
  std::optional<AxisScalar> value = ReadSettingValue(node, path, form, notes);
  if (!value) return false;
  values->push_back(*std::move(value));
  return true;
}

std::optional<AxisScalar> ReadDefault(const YAML::Node& node, const std::string& path,
                                      YamlNotes* notes) {
  if (!CheckPlainScalar(node, path, "a number, true, false or a word", notes)) return std::nullopt;
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return Word(text);
  if (text == "true" || text == "false") return TrueFalse(text == "true");
  if (auto number = ParseAnyNumber(text)) return number;
  // Such text is a number to other readers of YAML, or was meant as one.
  const std::string lower = absl::AsciiStrToLower(text);
  double value = 0;
  const size_t start = text.find_first_not_of("+-.");
  if (absl::SimpleAtod(text, &value) || absl::StrContains(lower, ".inf") || lower == ".nan" ||
      (start != std::string::npos && absl::ascii_isdigit(text[start]))) {
    notes->Add(node, path,
               absl::StrCat("is ", Quote(text),
                            ", not a finite number in plain form; write one like 0.1, 1e-4 or 100, "
                            "or put a word into quotes"));
    return std::nullopt;
  }
  return Word(text);
}

void SetRunSetting(const std::string& path, const AxisScalar& scalar, Message* message) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (const std::string& name : names) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return;
    const auto& reflection = *message->GetReflection();
    if (field->message_type() != nullptr) {
      message = reflection.MutableMessage(message, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection.SetUInt32(message, field, static_cast<uint32_t>(std::get<int64_t>(scalar.value)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      reflection.SetDouble(message, field, std::get<double>(scalar.value));
    } else {
      reflection.SetString(message, field, std::get<std::string>(scalar.value));
    }
  }
}

void SetSetting(const SettingForm& form, const AxisScalar& scalar, v1::AxisSettings* settings) {
  if (!form.of_program) return SetRunSetting(form.name, scalar, settings);
  v1::ProgramSetting* setting = settings->add_program();
  setting->set_name(form.name);
  setting->set_value(scalar.json);
}

bool SetsSetting(const v1::AxisSettings& settings, const std::string& name) {
  for (const v1::ProgramSetting& setting : settings.program()) {
    if (setting.name() == name) return true;
  }
  const Message* at = &settings;
  const std::vector<std::string> names = absl::StrSplit(name, '.');
  for (const std::string& part : names) {
    const FieldDescriptor* field = at->GetDescriptor()->FindFieldByName(part);
    if (field == nullptr || field->is_repeated() || !at->GetReflection()->HasField(*at, field))
      return false;
    if (field->message_type() == nullptr) return true;
    at = &at->GetReflection()->GetMessage(*at, field);
  }
  return false;
}

}  // namespace coppice::cli
