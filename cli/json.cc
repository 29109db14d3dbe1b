#include "cli/json.h"

#include <google/protobuf/util/json_util.h>

namespace coppice::cli {

std::string ToJson(const google::protobuf::Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = pretty;
  std::string json;
  // A message that came over the wire is valid UTF-8 already, the only thing this can refuse.
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  return json;
}

}  // namespace coppice::cli
