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

// What a command writes to and talks to. Not thread-safe.
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

  // The coordinator's client, made on first use; warns on `err` of a way in that is not safe.
  // INVALID_ARGUMENT for a bad address; the codes of rpc::ResolveAccess.
  absl::StatusOr<Client*> Connect();
  // The same, and checks that both sides speak one protocol: for commands that change something.
  absl::StatusOr<Client*> ConnectToChange();

 private:
  std::unique_ptr<Client> client_;
};

// `coppice: error: ...` on `err`; the exit code for it: 2 for INVALID_ARGUMENT (what the user wrote
// is wrong), otherwise 1.
int Report(const absl::Status& status, std::ostream& err);

// `coppice: warning: ...`, each on a line of its own.
void Warn(const std::vector<std::string>& warnings, std::ostream& err);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_CONTEXT_H_
