#ifndef COPPICE_CLI_JSON_H_
#define COPPICE_CLI_JSON_H_

#include <google/protobuf/message.h>

#include <string>

namespace coppice::cli {

// Protobuf's JSON form with the field names of proto/coppice/v1, every field without presence
// printed; 64-bit integers are strings there, as protobuf has it. `pretty` breaks lines and ends
// with one; otherwise one line without its end.
std::string ToJson(const google::protobuf::Message& message, bool pretty = true);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_JSON_H_
