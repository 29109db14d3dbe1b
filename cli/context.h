#ifndef COPPICE_CLI_CONTEXT_H_
#define COPPICE_CLI_CONTEXT_H_

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/terminal.h"
#include "common/rpc/access.h"

namespace coppice::cli {

// Exit codes of every command.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPreempted = 75;

// The outputs and the coordinator's client of a command. Not thread-safe.
class Context {
 public:
  Context(std::ostream& out_stream, std::ostream& err_stream, Terminal out_terminal)
      : out(out_stream), err(err_stream), terminal(out_terminal) {}

  std::ostream& out;
  std::ostream& err;
  Terminal terminal;
  rpc::AccessFlags access;
  bool coordinator_given = false;  // as a flag
  bool json = false;

  // Returns the coordinator's client, created on first use. Warns on `err` if the access is not
  // safe. INVALID_ARGUMENT for a bad address; otherwise the codes of rpc::ResolveAccess.
  absl::StatusOr<Client*> Connect();
  // Also checks that both sides speak the same protocol, for commands that change something.
  absl::StatusOr<Client*> ConnectToChange();

 private:
  std::unique_ptr<Client> client_;
};

// Prints `coppice: error: ...` on `err` and returns the exit code: 2 for INVALID_ARGUMENT (a
// mistake of the user's), otherwise 1.
int Report(const absl::Status& status, std::ostream& err);

// Prints each warning as `coppice: warning: ...` on a line of its own.
void Warn(const std::vector<std::string>& warnings, std::ostream& err);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CONTEXT_H_
