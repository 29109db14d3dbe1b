#ifndef COPPICE_CLI_CONFIRM_H_
#define COPPICE_CLI_CONFIRM_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"

namespace coppice::cli {

// Asks a person at the terminal, on the standard error, and reads one line. Only "y" and "yes" mean
// yes. INVALID_ARGUMENT: the standard input or error is no terminal; the message names --yes.
absl::StatusOr<bool> Confirm(const std::string& question, Context* context);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CONFIRM_H_
