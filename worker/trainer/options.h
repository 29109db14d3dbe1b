// The command line: a spec file, or flags that say the same.
#ifndef COPPICE_WORKER_TRAINER_OPTIONS_H_
#define COPPICE_WORKER_TRAINER_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/trainer/config.h"

namespace coppice::trainer {

struct Options {
  PackSpec spec;
  bool by_hand = false;  // from flags: resume from what lies in `out`
  std::string out;       // by hand: the folder of the members' folders
  std::string log_level;
};

// nullopt when the command line asked for text (--help, --version), which was printed.
// INVALID_ARGUMENT names the flag or setting; NOT_FOUND and others for a spec file that cannot be
// read. A spec file that was read and asks for what cannot be trained is also told in `refused`,
// without the file's name.
absl::StatusOr<std::optional<Options>> ParseCommandLine(int argc, const char* const* argv,
                                                        std::string* refused = nullptr);

// `coppice-trainer measure`: how fast packs of several widths of a run train here.
struct MeasureCommand {
  PackSpec spec;  // its members play no part
  int64_t max_width = 32;
  absl::Duration limit = absl::Seconds(10);
  std::string log_level;
};

// From the arguments behind `measure`; otherwise as ParseCommandLine.
absl::StatusOr<std::optional<MeasureCommand>> ParseMeasureCommand(int argc,
                                                                  const char* const* argv);

}  // namespace coppice::trainer

#endif  // COPPICE_WORKER_TRAINER_OPTIONS_H_
