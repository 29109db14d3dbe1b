// Slurm's commands on another machine: `coppice pool run` runs them there.
#ifndef COPPICE_COORDINATOR_POOLS_REMOTE_COMMANDS_H_
#define COPPICE_COORDINATOR_POOLS_REMOTE_COMMANDS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/command_runner.h"

namespace coppice::pools {

struct CommandAnswer {
  uint64_t id = 0;
  CommandResult result;
};

struct CommandsRequest {
  std::string session;  // of one `coppice pool run`; a random word
  std::string host;
  std::vector<CommandAnswer> answers;
  bool leaving = false;
};

struct HandedCommand {
  uint64_t id = 0;
  Command command;  // without an environment: the client has its own
};

struct CommandsReply {
  std::vector<HandedCommand> commands;
  bool settled = false;  // the work that was due when the session began is done
  bool fresh = false;    // the session has just begun
};

// Purpose: passes commands to a client, and its answers back.
//   1. A client's first request begins its session. There is one at a time.
//   2. A request is answered with the commands that wait, or with none after a while. Each command
//      is handed out once, whatever becomes of the reply: nobody knows whether it ran.
//   3. The client's next request has the answers.
//   4. A session ends when the client says so or is silent for longer than its commands may take.
//      Commands that were handed out then end as DEADLINE_EXCEEDED. Those that were not, and all
//      others until the next session, end as FAILED_PRECONDITION.
// Owner: PoolKeeper; its callbacks may come after its end and do nothing then. Thread-safe; nothing
// blocks. Durability: none.
class RemoteCommands : public CommandRunner {
 public:
  // A request without commands is answered after so long.
  static constexpr absl::Duration kLongPoll = absl::Seconds(15);
  // Beyond its commands' limits a client may be silent for so long.
  static constexpr absl::Duration kSilence = absl::Seconds(45);

  explicit RemoteCommands(Clock* clock);
  ~RemoteCommands() override;

  using Done = std::function<void(absl::StatusOr<CommandsReply>)>;
  // FAILED_PRECONDITION: another client has a session. ABORTED: this session has ended.
  // UNAVAILABLE: shut down. A reply with `fresh` set holds no commands, and the next request comes
  // at once.
  void Exchange(CommandsRequest request, Done done);
  // The work that was due is done: the next reply of the session without commands is `settled`.
  void Settle(const std::string& session);

  void Run(Command command, std::function<void(CommandResult)> done) override;
  void Shutdown() override;
  std::string Absent() override;

 private:
  struct Waiting {
    Command command;
    std::function<void(CommandResult)> done;
  };
  using Calls = std::vector<std::function<void()>>;
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace coppice::pools

#endif  // COPPICE_COORDINATOR_POOLS_REMOTE_COMMANDS_H_
