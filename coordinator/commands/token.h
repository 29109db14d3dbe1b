#ifndef COPPICE_COORDINATOR_COMMANDS_TOKEN_H_
#define COPPICE_COORDINATOR_COMMANDS_TOKEN_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"
#include "coordinator/security/tokens.h"

namespace coppice::commands {

// Makes a token: its hash goes into `tokens` (created when missing), itself into the new file
// `out`, readable by its owner only, as `content` makes of it. ALREADY_EXISTS (the name or the file
// is taken); FAILED_PRECONDITION while another command changes the table; the codes of LoadTokens.
using ContentOf = std::function<std::string(const std::string& token)>;
absl::Status AddTokenTo(const std::string& tokens, const std::string& name, security::Role role,
                        const std::string& out, Clock* clock, const ContentOf& content);
// NOT_FOUND for an unknown name.
absl::Status RevokeTokenIn(const std::string& tokens, const std::string& name);

// Adds `token add NAME --role ROLE`, `token list` and `token revoke NAME`; where no flag names the
// table, it is that of the coordinator with this data folder.
void AddToken(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_TOKEN_H_
