// The extension of a sweep that a coordinator has: its request, and its words for people.
#ifndef COPPICE_CLI_EXTENSION_H_
#define COPPICE_CLI_EXTENSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/spec_reader.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The coordinator's answer to a dry run, and the sweep as it is.
struct PlannedExtension {
  v1::GetSweepResponse before;
  v1::ExtendSweepResponse answer;
};

// Asks and changes nothing. It needs the operator's token.
absl::StatusOr<PlannedExtension> PlanExtension(Client* client, const v1::SweepSpec& spec,
                                               uint32_t pack_width);

// A line for each thing that it adds or changes; none: the sweep is already so.
std::vector<std::string> ExtensionLines(const PlannedExtension& planned, const v1::SweepSpec& spec);

// INVALID_ARGUMENT with the differences that forbid it. `place`: where the sweep is, "the
// coordinator at HOST:PORT". OK: nothing forbids it.
absl::Status WhyRefused(const SpecFile& file, const std::string& place, const std::string& remedy,
                        const v1::SweepExtension& extension);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_EXTENSION_H_
