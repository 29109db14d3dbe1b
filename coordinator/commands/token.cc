#include "coordinator/commands/token.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"
#include "coordinator/commands/own_access.h"
#include "coordinator/commands/tls_files.h"
#include "coordinator/security/token_registry.h"
#include "coordinator/security/token_uses.h"

namespace coppice::commands {
namespace {

struct TokenFlags {
  const std::string* data_dir;
  std::string tokens;
  std::string tls_dir;
  std::string name;
  std::string role;
  std::string out;
  bool json = false;
};

// Two commands at once must not lose each other's change.
absl::StatusOr<FileLock> LockTable(const std::string& tokens) {
  absl::StatusOr<FileLock> lock = FileLock::Acquire(tokens + ".lock");
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another command changes ", tokens, " right now; try again"));
  }
  return lock;
}

absl::StatusOr<std::string> TableFile(const TokenFlags& flags) {
  if (!flags.tokens.empty()) return flags.tokens;
  if (!flags.tls_dir.empty()) return JoinPath(flags.tls_dir, kTokens);
  const std::string own = JoinPath(JoinPath(*flags.data_dir, kAccessFolder), kTokens);
  if (FileExists(own)) return own;
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no token file ", own,
      "; name it by --tokens FILE, --tls-dir DIR or the coordinator's --data-dir DIR"));
}

absl::Status Add(const TokenFlags& flags, Clock* clock) {
  COPPICE_ASSIGN_OR_RETURN(const std::string tokens, TableFile(flags));
  COPPICE_RETURN_IF_ERROR(security::CheckTokenName(flags.name));
  COPPICE_ASSIGN_OR_RETURN(const security::Role role, security::ParseRole(flags.role));
  std::string out = flags.out;
  if (out.empty()) {
    const size_t slash = tokens.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : tokens.substr(0, slash);
    out = JoinPath(folder, absl::StrCat(flags.name, kTokenSuffix));
  }
  COPPICE_RETURN_IF_ERROR(AddTokenTo(tokens, flags.name, role, out, clock,
                                     [](const std::string& token) { return token + "\n"; }));
  std::printf("Added %s (%s); its token is in %s, for --token-file or COPPICE_TOKEN_FILE.\n",
              flags.name.c_str(), flags.role.c_str(), out.c_str());
  return absl::OkStatus();
}

std::string Minute(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// Null: not used since recording began. Uses from before the token was made belong to an earlier
// token of the same name.
const absl::Time* UseOf(const security::TokenRecord& record, const security::TokenUses& uses) {
  const auto found = uses.last.find(record.name);
  return found == uses.last.end() || found->second < record.created ? nullptr : &found->second;
}

std::string UseText(const security::TokenRecord& record,
                    const absl::StatusOr<security::TokenUses>& uses) {
  if (!uses.ok()) return "unknown";
  if (const absl::Time* use = UseOf(record, *uses); use != nullptr) return Minute(*use);
  // A coordinator starts recording right after it has made its tokens.
  if (uses->since <= record.created + absl::Minutes(1)) return "never";
  return absl::StrCat("not since ", Minute(uses->since));
}

void ListJson(const security::TokenTable& table, const absl::StatusOr<security::TokenUses>& uses) {
  nlohmann::ordered_json json;
  json["noted_since"] = uses.ok() ? nlohmann::ordered_json(Rfc3339(uses->since)) : nullptr;
  json["tokens"] = nlohmann::ordered_json::array();
  for (const security::TokenRecord& record : table.records()) {
    const absl::Time* const use = uses.ok() ? UseOf(record, *uses) : nullptr;
    json["tokens"].push_back(
        {{"name", record.name},
         {"role", std::string(security::RoleName(record.role))},
         {"created", Rfc3339(record.created)},
         {"last_used", use == nullptr ? nlohmann::ordered_json(nullptr)
                                      : nlohmann::ordered_json(Rfc3339(*use))}});
  }
  std::printf("%s\n", json.dump(2).c_str());
}

absl::Status List(const TokenFlags& flags) {
  COPPICE_ASSIGN_OR_RETURN(const std::string tokens, TableFile(flags));
  COPPICE_ASSIGN_OR_RETURN(const security::TokenTable table, security::LoadTokens(tokens));
  const absl::StatusOr<security::TokenUses> uses = security::LoadTokenUses(tokens);
  if (flags.json) {
    ListJson(table, uses);
    return absl::OkStatus();
  }
  std::printf("%-24s %-10s %-22s %s\n", "NAME", "ROLE", "CREATED", "LAST USED");
  for (const security::TokenRecord& record : table.records()) {
    std::printf("%-24s %-10s %-22s %s\n", record.name.c_str(),
                std::string(security::RoleName(record.role)).c_str(),
                Minute(record.created).c_str(), UseText(record, uses).c_str());
  }
  return absl::OkStatus();
}

absl::Status Revoke(const TokenFlags& flags) {
  COPPICE_ASSIGN_OR_RETURN(const std::string tokens, TableFile(flags));
  COPPICE_RETURN_IF_ERROR(RevokeTokenIn(tokens, flags.name));
  std::printf("Revoked %s; a running coordinator notices within seconds, at once on SIGHUP.\n",
              flags.name.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::Status AddTokenTo(const std::string& tokens, const std::string& name, security::Role role,
                        const std::string& out, Clock* clock, const ContentOf& content) {
  COPPICE_ASSIGN_OR_RETURN(const FileLock lock, LockTable(tokens));
  absl::StatusOr<security::TokenTable> table = security::LoadTokens(tokens);
  if (absl::IsNotFound(table.status())) table = security::TokenTable();
  if (!table.ok()) return table.status();
  COPPICE_ASSIGN_OR_RETURN(const std::string token, security::NewToken());
  COPPICE_RETURN_IF_ERROR(table->Add(name, role, clock->Now(), token));
  const absl::Status written = CreateSecretFile(out, content(token));
  if (absl::IsAlreadyExists(written)) {
    return absl::AlreadyExistsError(absl::StrCat(out, " is there already; name another file"));
  }
  COPPICE_RETURN_IF_ERROR(written);
  const absl::Status stored = ReplaceSecretFile(tokens, table->Serialize());
  if (!stored.ok()) RemoveFile(out).IgnoreError();
  return stored;
}

absl::Status RevokeTokenIn(const std::string& tokens, const std::string& name) {
  COPPICE_ASSIGN_OR_RETURN(const FileLock lock, LockTable(tokens));
  COPPICE_ASSIGN_OR_RETURN(security::TokenTable table, security::LoadTokens(tokens));
  COPPICE_RETURN_IF_ERROR(table.Remove(name));
  if (table.records().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", name, "' is the last token of ", tokens,
                     ", and a coordinator does not take a file without tokens; add another with "
                     "`token add` first"));
  }
  return ReplaceSecretFile(tokens, table.Serialize());
}

void AddToken(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action) {
  const auto flags = std::make_shared<TokenFlags>();
  flags->data_dir = data_dir;
  CLI::App* const token = app->add_subcommand("token", "Add, list or revoke tokens");
  token->require_subcommand(1);
  token->fallthrough();  // for --data-dir
  const auto command = [&](const char* name, const char* help, std::function<absl::Status()> run) {
    CLI::App* const sub = token->add_subcommand(name, help);
    sub->fallthrough();
    sub->add_option("--tokens", flags->tokens,
                    "The coordinator's token file (default: DATA-DIR/access/tokens)");
    sub->add_option("--tls-dir", flags->tls_dir, "The folder that `init-tls` made, in its place");
    sub->callback([action, run = std::move(run)] { *action = run; });
    return sub;
  };
  CLI::App* const add =
      command("add", "Make a token with a role", [flags, clock] { return Add(*flags, clock); });
  add->add_option("NAME", flags->name, "Whose it is, for `token list` and `token revoke`")
      ->required();
  add->add_option("--role", flags->role, "viewer, operator or worker")->required();
  add->add_option("--out", flags->out,
                  "Where the token goes, a new file (default: NAME.token beside the token file)");
  CLI::App* const list = command("list", "Names, roles, ages and last uses, nothing secret",
                                 [flags] { return List(*flags); });
  list->add_flag("--json", flags->json, "Print JSON");
  CLI::App* const revoke =
      command("revoke", "Refuse a token from now on", [flags] { return Revoke(*flags); });
  revoke->add_option("NAME", flags->name, "As `token list` shows it")->required();
}

}  // namespace coppice::commands
