// The differences between two runs of one point, setting by setting.
#ifndef COPPICE_COMMON_SPEC_RUN_DIFFERENCE_H_
#define COPPICE_COMMON_SPEC_RUN_DIFFERENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "coppice/v1/sweep.pb.h"

namespace coppice::spec {

struct RunDifference {
  std::string path;   // "train.learning_rate", "program.settings.width", "program.command"
  std::string there;  // as JSON, or "unset"
  std::string here;
};

// Every setting of the two is set, as in a resolved run. `train.steps` is one of them.
std::vector<RunDifference> RunDifferences(const v1::RunConfig& there, const v1::RunConfig& here);

// True if a run may go on with another value of this setting, because no reported value depends on
// it: the settings of `checkpoint`, and report.stall_seconds.
bool IsSettingOfKeeping(absl::string_view path);

// Rows at multiples of the returned step are the same in runs of any length. The last row of a run
// that ends elsewhere would be missing in a longer run, or hold no probes there.
uint32_t CommonRowEvery(const v1::RunConfig& run);

}  // namespace coppice::spec

#endif  // COPPICE_COMMON_SPEC_RUN_DIFFERENCE_H_
