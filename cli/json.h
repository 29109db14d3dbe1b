#ifndef COPPICE_CLI_JSON_H_
#define COPPICE_CLI_JSON_H_

#include <google/protobuf/message.h>

#include <string>

namespace coppice::cli {

// Protobuf's JSON form with the field names of proto/coppice/v1. Every field without presence is
// printed, except empty lists of axes, points, excludes and programs' settings, which only sweeps
// with axes of their own have. 64-bit integers are strings, as protobuf defines it. With `pretty`,
// the text has line breaks, also at its end; otherwise it is one line without an end.
std::string ToJson(const google::protobuf::Message& message, bool pretty = true);

// Escapes the characters that Printable replaces as \uXXXX, in JSON from another source. So no text
// drives a terminal, and readers still get all of it. JSON has these characters only in strings;
// every JSON writer escapes the other control characters itself.
std::string EscapeControls(const std::string& json);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_JSON_H_
