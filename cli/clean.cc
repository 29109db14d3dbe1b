#include "cli/clean.h"

#include <google/protobuf/descriptor.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/printable.h"

namespace coppice::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void CleanString(Message* message, const Reflection& reflection, const FieldDescriptor& field) {
  std::string scratch;
  if (!field.is_repeated()) {
    const std::string& text = reflection.GetStringReference(*message, &field, &scratch);
    if (!IsPrintable(text)) reflection.SetString(message, &field, Printable(text));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(*message, &field); ++i) {
    const std::string& text = reflection.GetRepeatedStringReference(*message, &field, i, &scratch);
    if (!IsPrintable(text)) reflection.SetRepeatedString(message, &field, i, Printable(text));
  }
}

void CleanMessages(Message* message, const Reflection& reflection, const FieldDescriptor& field) {
  if (!field.is_repeated()) return CleanText(reflection.MutableMessage(message, &field));
  for (int i = 0; i < reflection.FieldSize(*message, &field); ++i) {
    CleanText(reflection.MutableRepeatedMessage(message, &field, i));
  }
}

}  // namespace

void CleanText(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);  // the fields that are set
  for (const FieldDescriptor* field : fields) {
    if (field->type() == FieldDescriptor::TYPE_STRING) CleanString(message, reflection, *field);
    if (field->type() == FieldDescriptor::TYPE_MESSAGE) CleanMessages(message, reflection, *field);
  }
}

}  // namespace coppice::cli
