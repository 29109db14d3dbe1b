// Sweep specs as people write them: YAML, read strictly onto v1::SweepSpec.
#ifndef COPPICE_CLI_SPEC_READER_H_
#define COPPICE_CLI_SPEC_READER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

// A place in a file, both from 1.
struct Position {
  int line = 1;
  int column = 1;
};

// A valid spec and where its fields stand.
struct SpecFile {
  v1::SweepSpec spec;
  std::string name;                           // of the file, as messages show it
  std::map<std::string, Position> positions;  // by path, as spec::Problem names it

  // "FILE:LINE:COLUMN" of a field, or of the nearest one around it that the file has.
  std::string Locate(const std::string& path) const;
};

// Reads and validates. Any key that is not a field of the message, any value of another type or out
// of range, any key twice is a problem; the error, INVALID_ARGUMENT, lists up to 20 as
// "FILE:LINE:COLUMN: what is wrong; the remedy", one a line. Never crashes or runs long, whatever
// the text (1 MiB at most).
absl::StatusOr<SpecFile> ParseSpec(absl::string_view text, const std::string& file);

// The same for a file; "-" is standard input. A file that cannot be read is INVALID_ARGUMENT too:
// the caller named it.
absl::StatusOr<SpecFile> ReadSpecFile(const std::string& path);

// "FILE:LINE:COLUMN: ..." for each thing that is valid and cannot do what it says.
std::vector<std::string> SpecWarnings(const SpecFile& file);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SPEC_READER_H_
