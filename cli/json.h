#ifndef COPPICE_CLI_JSON_H_
#define COPPICE_CLI_JSON_H_

#include <google/protobuf/message.h>

#include <string>

namespace coppice::cli {

// Protobuf's JSON form with the field names of proto/coppice/v1, every field without presence
// printed; 64-bit integers are strings there, as protobuf has it. `pretty` breaks lines and ends
// with one; otherwise one line without its end.
std::string ToJson(const google::protobuf::Message& message, bool pretty = true);

// What Printable replaces, as \uXXXX, in JSON that was made otherwise: nothing of it drives a
// terminal, and a reader gets it all the same. Outside of strings JSON has none of it; other
// controls every maker of JSON escapes itself.
std::string EscapeControls(const std::string& json);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_JSON_H_
