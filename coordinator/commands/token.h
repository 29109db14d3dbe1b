#ifndef COPPICE_COORDINATOR_COMMANDS_TOKEN_H_
#define COPPICE_COORDINATOR_COMMANDS_TOKEN_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "common/base/clock.h"
#include "coordinator/commands/command.h"
#include "coordinator/security/tokens.h"

namespace coppice::commands {

// Makes a token. Its hash goes into `tokens` (created if missing). `content` makes from the token
// the content of the new file `out`, which only its owner may read. ALREADY_EXISTS: the name or the
// file is taken. FAILED_PRECONDITION: another command is changing the table. Otherwise the codes of
// LoadTokens.
using ContentOf = std::function<std::string(const std::string& token)>;
absl::Status AddTokenTo(const std::string& tokens, const std::string& name, security::Role role,
                        const std::string& out, Clock* clock, const ContentOf& content);
// NOT_FOUND for an unknown name.
absl::Status RevokeTokenIn(const std::string& tokens, const std::string& name);

// Adds `token add NAME --role ROLE`, `token list` and `token revoke NAME`. Without a flag for the
// table, they use that of the coordinator with this data folder.
void AddToken(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action);

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_TOKEN_H_
