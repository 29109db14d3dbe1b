// Reads, sets and checks settings in messages by the table's paths, which are those of the fields.
#include <google/protobuf/descriptor.h>

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/spec/internal.h"

namespace coppice::spec {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using settings::Value;

// The fields from a message to one of its settings, the outermost first. Empty: the message has no
// such setting.
using Fields = std::vector<const FieldDescriptor*>;

Fields FieldsTo(const Descriptor* message, const std::string& path) {
  Fields fields;
  for (const absl::string_view name : absl::StrSplit(path, '.')) {
    const FieldDescriptor* field =
        message == nullptr ? nullptr : message->FindFieldByName(std::string(name));
    if (field == nullptr || field->is_repeated()) return {};
    fields.push_back(field);
    message = field->message_type();
  }
  return message == nullptr ? fields : Fields();
}

// Of each setting of a table, in its order.
std::vector<Fields> MakeFields(const Descriptor* message, const settings::Table& table) {
  std::vector<Fields> fields;
  fields.reserve(table.settings().size());
  for (const settings::Setting& setting : table.settings())
    fields.push_back(FieldsTo(message, setting.path));
  return fields;
}

// Of the table of this project. Null: the message is none of those that hold settings.
const std::vector<Fields>* FieldsOf(const Message& message) {
  static const auto* const known = [] {
    auto* all = new absl::flat_hash_map<const Descriptor*, std::vector<Fields>>;
    for (const Descriptor* of : {v1::RunConfig::descriptor(), v1::SweepSpec::descriptor(),
                                 v1::Override::descriptor(), v1::AxisSettings::descriptor()})
      all->emplace(of, MakeFields(of, settings::RunSettings()));
    return all;
  }();
  const auto found = known->find(message.GetDescriptor());
  return found == known->end() ? nullptr : &found->second;
}

// The message with the last field of a path, and that field. Null if the path does not exist or
// leads through a message that is not set.
struct Place {
  const Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
};

Place Find(const Message& root, const Fields& fields) {
  Place place;
  for (const FieldDescriptor* field : fields) {
    const Message* at = place.field == nullptr ? &root
                                               : &place.message->GetReflection()->GetMessage(
                                                     *place.message, place.field);
    if (!at->GetReflection()->HasField(*at, field)) return {};
    place = {at, field};
  }
  return place;
}

Value Read(const Place& place) {
  const auto& reflection = *place.message->GetReflection();
  switch (place.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return int64_t{reflection.GetUInt32(*place.message, place.field)};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(*place.message, place.field);
    default:
      return reflection.GetString(*place.message, place.field);
  }
}

// Visits the settings that a message sets, in the table's order.
void VisitSet(const Message& message, const settings::Table& table,
              absl::FunctionRef<void(const settings::Setting&, Value)> visit) {
  const std::vector<Fields>* known =
      &table == &settings::RunSettings() ? FieldsOf(message) : nullptr;
  const std::vector<Fields> made =
      known == nullptr ? MakeFields(message.GetDescriptor(), table) : std::vector<Fields>();
  const std::vector<Fields>& fields = known == nullptr ? made : *known;
  for (size_t i = 0; i < fields.size(); ++i) {
    const Place place = Find(message, fields[i]);
    if (place.field != nullptr) visit(table.settings()[i], Read(place));
  }
}

// As a value of the setting's own type. nullopt: it has another.
std::optional<Value> ValueFromJson(const nlohmann::json& json, const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      if (!json.is_number_unsigned() || json.get<uint64_t>() > std::numeric_limits<uint32_t>::max())
        return std::nullopt;
      return json.get<int64_t>();
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!json.is_number()) return std::nullopt;
      return json.get<double>();
    default:
      if (!json.is_string()) return std::nullopt;
      return json.get<std::string>();
  }
}

// The settings of an object whose names begin with `prefix`.
bool SetBelow(const nlohmann::json& json, const std::string& prefix, v1::RunConfig* run) {
  if (json.empty()) return false;
  for (const auto& [name, value] : json.items()) {
    const std::string path = prefix + name;
    if (value.is_object()) {
      if (!SetBelow(value, path + ".", run)) return false;
      continue;
    }
    const settings::Setting* setting = settings::RunSettings().Find(path);
    if (setting == nullptr) return false;
    const auto number = static_cast<size_t>(setting - settings::RunSettings().settings().data());
    const auto typed = ValueFromJson(value, *FieldsOf(*run)->at(number).back());
    if (!typed) return false;
    SetValueIn(number, *typed, run);
  }
  return true;
}

v1::RunConfig MakeDefaultRun(const std::string& task) {
  v1::RunConfig run;
  run.set_task(task);
  const settings::Values defaults = settings::RunSettings().Defaults(task);
  const auto& settings = settings::RunSettings().settings();
  for (size_t i = 0; i < settings.size(); ++i) {
    const Value* value = defaults.Find(settings[i].path);
    if (value != nullptr) SetValueIn(i, *value, &run);
  }
  return run;
}

}  // namespace

std::optional<Value> ValueIn(const Message& message, size_t setting) {
  const Place place = Find(message, FieldsOf(message)->at(setting));
  if (place.field == nullptr) return std::nullopt;
  return Read(place);
}

void SetValueIn(size_t setting, const Value& value, v1::RunConfig* run) {
  Message* at = run;
  for (const FieldDescriptor* field : FieldsOf(*run)->at(setting)) {
    const auto& reflection = *at->GetReflection();
    if (field->message_type() != nullptr) {
      at = reflection.MutableMessage(at, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection.SetUInt32(at, field, static_cast<uint32_t>(std::get<int64_t>(value)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      reflection.SetDouble(at, field, std::get<double>(value));
    } else {
      reflection.SetString(at, field, std::get<std::string>(value));
    }
  }
}

bool SetValuesFromJson(const nlohmann::json& json, v1::RunConfig* run) {
  if (!json.is_object()) return false;
  return SetBelow(json, "", run);
}

settings::Values ValuesOf(const Message& message, const settings::Table& table) {
  settings::Values values;
  VisitSet(message, table, [&](const settings::Setting& setting, Value value) {
    values.Set(setting.path, std::move(value));
  });
  return values;
}

v1::RunConfig DefaultRun(const std::string& task) {
  static const auto* const runs =
      new std::map<std::string, v1::RunConfig>{{"question", MakeDefaultRun("question")},
                                               {"tense", MakeDefaultRun("tense")},
                                               {"dyck", MakeDefaultRun("dyck")}};
  const auto known = runs->find(task);
  return known == runs->end() ? MakeDefaultRun(task) : known->second;
}

void ValidateSettings(const Message& message, const std::string& prefix,
                      const settings::Table& table, std::vector<Problem>* problems) {
  VisitSet(message, table, [&](const settings::Setting& setting, const Value& value) {
    const auto wrong = WhatIsWrong(setting, value, settings::Origin::kSweep);
    if (wrong) problems->push_back({absl::StrCat(prefix, setting.path), *wrong});
  });
}

}  // namespace coppice::spec
