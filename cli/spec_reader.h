// Reads sweep specs: YAML, read strictly into v1::SweepSpec.
#ifndef COPPICE_CLI_SPEC_READER_H_
#define COPPICE_CLI_SPEC_READER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::cli {

// A place in a file, or a flag of the command line. Both numbers count from 1.
struct Position {
  int line = 1;
  int column = 1;
  std::string flag;  // "--set train.steps"; empty: a place in the file
};

// The changes that the command line makes to a spec.
struct SpecChanges {
  std::vector<std::string> set;   // "train.steps=2000"
  std::vector<std::string> axis;  // "train.learning_rate=1e-4,3e-4"
  // The values of `axis` come to those of the spec, instead of replacing them.
  bool add_values = false;
  std::string default_name = {};  // of a spec without a name
};

// The flags --set and --axis, to be typed again; empty: none.
std::string FlagsText(const SpecChanges& changes);

// A valid spec and the positions of its fields.
struct SpecFile {
  v1::SweepSpec spec;
  std::string name;                           // of the file, as messages show it
  std::map<std::string, Position> positions;  // by path, as spec::Problem names it

  // "FILE:LINE:COLUMN" of a field, or of the nearest enclosing field in the file. For what a flag
  // changed, the flag.
  std::string Locate(const std::string& path) const;
};

// Reads and validates. A problem is a key that is no field of the message, a value of another type
// or out of range, or a key given twice. The error, INVALID_ARGUMENT, lists up to 20 as
// "FILE:LINE:COLUMN: problem; remedy", one a line. Whatever the text (1 MiB at most), it never
// crashes or runs long.
absl::StatusOr<SpecFile> ParseSpec(absl::string_view text, const std::string& file,
                                   const SpecChanges& changes = {});

// The same for a file; "-" is standard input. An unreadable file is INVALID_ARGUMENT too, because
// the caller named it.
absl::StatusOr<SpecFile> ReadSpecFile(const std::string& path, const SpecChanges& changes = {});

// "FILE:LINE:COLUMN: ..." for each valid setting that cannot have its effect.
std::vector<std::string> SpecWarnings(const SpecFile& file);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SPEC_READER_H_
