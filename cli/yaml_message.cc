#include "cli/yaml_message.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/key_advice.h"

namespace coppice::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Lists other than seeds stay far below this. The limit keeps aliases from multiplying them.
constexpr size_t kMaxListItems = 1'000;
constexpr uint64_t kMaxSeeds = 1'000'000;

bool IsSeeds(const FieldDescriptor& field) { return field.name() == "seeds"; }

const char* Expected(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_INT32:
      return "a whole number";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a word";
    default:
      return "settings, for example {key: value}";
  }
}

}  // namespace

void YamlMessageReader::Read(const YAML::Node& node, Message* message) {
  root_ = message->GetDescriptor();
  if (!node.IsMap()) {
    notes_.Add(node, "",
               absl::StrCat("a sweep spec is a map of settings, this is ", KindOf(node),
                            "; start with `name: NAME`"));
    return;
  }
  notes_.Place("", node);
  ReadMap(node, "", message);
}

void YamlMessageReader::ReadMap(const YAML::Node& node, const std::string& path, Message* message) {
  std::map<std::string, int> lines;
  for (const auto& entry : node) {
    if (notes_.full()) return;
    const YAML::Node& key = entry.first;
    if (!key.IsScalar()) {
      notes_.Add(key, path, "has a key that is no word; use the name of a setting");
      continue;
    }
    const auto [first, is_new] = lines.emplace(key.Scalar(), PositionOf(key.Mark()).line);
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(key.Scalar());
    if (field == nullptr) {
      UnknownKey(key, path, *message);
    } else if (!is_new) {
      notes_.Add(key, PathBelow(path, key.Scalar()),
                 absl::StrCat("stands here a second time (first in line ", first->second,
                              "); remove one"));
    } else if (entry.second.IsNull()) {
      // The null value's own mark is that of the next token.
      notes_.Add(key, PathBelow(path, field->name()),
                 "has no value; give it one or remove the line");
    } else if (!aside_(entry.second, PathBelow(path, field->name()), *field, message)) {
      ReadField(entry.second, PathBelow(path, field->name()), *field, message);
    }
  }
}

void YamlMessageReader::UnknownKey(const YAML::Node& key, const std::string& path,
                                   const Message& message) {
  notes_.Add(key, "",
             absl::StrCat("unknown key ", Quote(key.Scalar()),
                          path.empty() ? std::string() : absl::StrCat(" in ", path), "; ",
                          AdviceFor(key.Scalar(), path, *message.GetDescriptor(), *root_)));
}

void YamlMessageReader::ReadField(const YAML::Node& node, const std::string& path,
                                  const Field& field, Message* message) {
  notes_.Place(path, node);
  if (field.is_repeated()) {
    ReadList(node, path, field, message);
  } else if (field.cpp_type() != Field::CPPTYPE_MESSAGE) {
    ReadValue(node, path, field, message);
  } else if (node.IsMap()) {
    ReadMap(node, path, message->GetReflection()->MutableMessage(message, &field));
  } else {
    notes_.Add(node, path,
               absl::StrCat("is ", KindOf(node), "; give it settings, for example {",
                            field.message_type()->field(0)->name(), ": ...}"));
  }
}

void YamlMessageReader::ReadList(const YAML::Node& node, const std::string& path,
                                 const Field& field, Message* message) {
  const Reflection& reflection = *message->GetReflection();
  const bool messages = field.cpp_type() == Field::CPPTYPE_MESSAGE;
  if (!node.IsSequence()) {
    // A single value stands for a list of one.
    if (messages) {
      notes_.Add(node, path,
                 absl::StrCat("is ", KindOf(node), "; use a list, each entry after a dash"));
    } else if (!IsSeeds(field) || !ReadRange(node, path, field, message)) {
      ReadValue(node, path, field, message);
    }
    return;
  }
  const size_t limit = IsSeeds(field) ? kMaxSeeds : kMaxListItems;
  if (node.size() > limit) {
    notes_.Add(node, path, absl::StrCat("has ", node.size(), " entries; use at most ", limit));
    return;
  }
  for (const YAML::Node& item : node) {
    const std::string at = absl::StrCat(path, "[", reflection.FieldSize(*message, &field), "]");
    notes_.Place(at, item);
    if (!messages) {
      if (!IsSeeds(field) || !ReadRange(item, path, field, message)) {
        ReadValue(item, at, field, message);
      }
    } else if (item.IsMap()) {
      ReadMap(item, at, reflection.AddMessage(message, &field));
    } else {
      notes_.Add(item, at,
                 absl::StrCat("is ", KindOf(item), "; give it settings, for example {",
                              field.message_type()->field(0)->name(), ": ...}"));
    }
  }
}

bool YamlMessageReader::ReadRange(const YAML::Node& node, const std::string& path,
                                  const Field& field, Message* message) {
  if (!node.IsScalar()) return false;
  std::pair<std::string, std::string> ends;
  if (!IsRange(node.Scalar(), &ends)) return false;
  uint32_t first = 0;
  uint32_t last = 0;
  if (!absl::SimpleAtoi(ends.first, &first) || !absl::SimpleAtoi(ends.second, &last)) {
    notes_.Add(node, path,
               absl::StrCat("has the range ", Quote(node.Scalar()),
                            "; seeds end at 4294967295, use smaller ones"));
    return true;
  }
  if (first > last) {
    notes_.Add(node, path,
               absl::StrCat("has the range ", node.Scalar(), ", which is empty; write ", last, "-",
                            first));
    return true;
  }
  const Reflection& reflection = *message->GetReflection();
  const uint64_t total = uint64_t{last} - first + 1 + reflection.FieldSize(*message, &field);
  if (total > kMaxSeeds) {
    notes_.Add(node, path,
               absl::StrCat("has the range ", node.Scalar(), ", which makes ", total,
                            " seeds; use at most ", kMaxSeeds, " and several sweeps"));
    return true;
  }
  for (uint64_t seed = first; seed <= last; ++seed) {
    reflection.AddUInt32(message, &field, static_cast<uint32_t>(seed));
  }
  return true;
}

bool YamlMessageReader::CheckScalar(const YAML::Node& node, const std::string& path,
                                    const Field& field) {
  if (!CheckPlainScalar(node, path, Expected(field), &notes_)) return false;
  const bool number = field.cpp_type() != Field::CPPTYPE_STRING;
  if (number && node.Tag() == "!") {
    notes_.Add(node, path,
               absl::StrCat("is text in quotes; use ", Expected(field), " without quotes"));
    return false;
  }
  return true;
}

void YamlMessageReader::ReadValue(const YAML::Node& node, const std::string& path,
                                  const Field& field, Message* message) {
  if (!CheckScalar(node, path, field)) return;
  const Reflection& reflection = *message->GetReflection();
  const std::string& text = node.Scalar();
  const bool add = field.is_repeated();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_UINT32: {
      uint32_t value = 0;
      if (IsWhole(text) && absl::SimpleAtoi(text, &value)) {
        add ? reflection.AddUInt32(message, &field, value)
            : reflection.SetUInt32(message, &field, value);
      } else if (IsWhole(text)) {
        notes_.Add(node, path,
                   absl::StrCat("is ", Quote(text), "; use a whole number from 0 to 4294967295"));
      } else {
        notes_.Add(
            node, path,
            absl::StrCat("is ", Quote(text), ", not a whole number; ", WholeNumberHint(text)));
      }
      break;
    }
    case Field::CPPTYPE_INT32: {
      int32_t value = 0;
      if (IsWhole(text) && absl::SimpleAtoi(text, &value)) {
        reflection.SetInt32(message, &field, value);
      } else {
        notes_.Add(node, path,
                   absl::StrCat("is ", Quote(text), ", not a small whole number; ",
                                WholeNumberHint(text)));
      }
      break;
    }
    case Field::CPPTYPE_DOUBLE: {
      double value = 0;
      const bool digit = text.find_first_of("0123456789") != std::string::npos;
      if (digit && absl::SimpleAtod(text, &value) && std::isfinite(value)) {
        reflection.SetDouble(message, &field, value);
      } else {
        notes_.Add(
            node, path,
            absl::StrCat("is ", Quote(text), ", not a finite number; use one like 0.1 or 1e-4"));
      }
      break;
    }
    case Field::CPPTYPE_STRING:
      add ? reflection.AddString(message, &field, text)
          : reflection.SetString(message, &field, text);
      break;
    default:
      notes_.Add(node, path, "cannot be set in a file; remove it");
  }
}

}  // namespace coppice::cli
