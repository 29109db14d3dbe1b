// The command line: a spec file, or flags with the same meaning.
#ifndef COPPICE_WORKER_TRAINER_OPTIONS_H_
#define COPPICE_WORKER_TRAINER_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/trainer/config/config.h"

namespace coppice::trainer {

struct Options {
  PackSpec spec;
  bool standalone = false;  // from flags: resumes from the checkpoints in `out`
  std::string out;          // by hand: contains the members' folders
  std::string log_level;
};

// nullopt: the command line asked for text (--help, --version), which was printed. INVALID_ARGUMENT
// names the flag or setting. NOT_FOUND and other codes: a spec file cannot be read. When a readable
// spec file asks for an impossible training, `refused` gets the message without the file's name.
absl::StatusOr<std::optional<Options>> ParseCommandLine(int argc, const char* const* argv,
                                                        std::string* refused = nullptr);

// `coppice-trainer measure` measures how fast packs of several widths of a run train here.
struct MeasureCommand {
  PackSpec spec;  // its members are ignored
  int64_t max_width = 32;
  absl::Duration limit = absl::Seconds(10);
  std::string log_level;
};

// Parses the arguments after `measure`; otherwise like ParseCommandLine.
absl::StatusOr<std::optional<MeasureCommand>> ParseMeasureCommand(int argc,
                                                                  const char* const* argv);

// Parses the arguments after `devices`, of which there are none but --help. False: they asked for
// help, which was printed. INVALID_ARGUMENT otherwise.
absl::StatusOr<bool> ParseDevicesCommand(int argc, const char* const* argv);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_OPTIONS_H_
