// The spec of a sweep that a coordinator has, as a file.
#ifndef COPPICE_CLI_STORED_SPEC_H_
#define COPPICE_CLI_STORED_SPEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The sweep's spec with the tags that it has by now.
v1::SweepSpec CurrentSpec(const v1::GetSweepResponse& stored);

// YAML that reads back as the same sweep, tags included. FAILED_PRECONDITION: no file can hold the
// spec, because another client made it with values that files cannot give, or because it is too
// large.
absl::StatusOr<std::string> SpecText(const v1::SweepSpec& spec);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_STORED_SPEC_H_
