// Reads, sets and checks settings in messages by the table's paths, which are those of the fields.
#include <google/protobuf/descriptor.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/spec/internal.h"

namespace coppice::spec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using settings::Value;

// The message with the last field of a path, and that field. Null if the path does not exist or
// leads through a message that is not set.
struct Place {
  const Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
};

Place Find(const Message& root, const std::string& path) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  const Message* at = &root;
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = at->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr || field->is_repeated() || !at->GetReflection()->HasField(*at, field))
      return {};
    const bool last = i + 1 == names.size();
    if (last == (field->message_type() != nullptr)) return {};
    if (last) return {at, field};
    at = &at->GetReflection()->GetMessage(*at, field);
  }
  return {};
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

void Write(Message* at, const std::string& path, const Value& value) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (const std::string& name : names) {
    const FieldDescriptor* field = at->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return;
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

v1::RunConfig MakeDefaultRun(const std::string& task) {
  v1::RunConfig run;
  run.set_task(task);
  const settings::Values defaults = settings::RunSettings().Defaults(task);
  for (const auto& [path, value] : defaults.all()) Write(&run, path, value);
  return run;
}

}  // namespace

bool Sets(const Message& message, const std::string& setting) {
  return Find(message, setting).field != nullptr;
}

settings::Values ValuesOf(const Message& message, const settings::Table& table) {
  settings::Values values;
  for (const settings::Setting& setting : table.settings()) {
    const Place place = Find(message, setting.path);
    if (place.field != nullptr) values.Set(setting.path, Read(place));
  }
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
  for (const settings::Setting& setting : table.settings()) {
    const Place place = Find(message, setting.path);
    if (place.field == nullptr) continue;
    const auto wrong = WhatIsWrong(setting, Read(place), settings::Origin::kSweep);
    if (wrong) problems->push_back({absl::StrCat(prefix, setting.path), *wrong});
  }
}

}  // namespace coppice::spec
