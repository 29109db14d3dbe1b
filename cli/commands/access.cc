#include "common/rpc/access.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/format.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string RolesOf(const rpc::AccessFile& file) {
  std::vector<std::string> roles;
  if (!file.operator_token.empty()) roles.push_back("operator");
  if (!file.viewer_token.empty()) roles.push_back("viewer");
  if (!file.worker_token.empty()) roles.push_back("worker");
  return absl::StrJoin(roles, ", ");
}

// Shows the source of the access, but no secret.
absl::StatusOr<Rows> Describe(const rpc::Access& access) {
  Rows rows = {{"coordinator", access.address}};
  if (!access.file.empty()) {
    COPPICE_ASSIGN_OR_RETURN(const rpc::AccessFile file, rpc::ReadAccessFile(access.file));
    rows.insert(rows.begin(), {"access", access.file});
    rows.emplace_back("roles", RolesOf(file));
    rows.emplace_back("until",
                      absl::FormatTime("%Y-%m-%d %H:%M UTC", file.until, absl::UTCTimeZone()));
    if (!file.data_dir.empty()) rows.emplace_back("data", file.data_dir + " on " + file.host);
    return rows;
  }
  const rpc::Credentials& own = access.credentials;
  rows.emplace_back("encrypted", own.tls() ? "yes" : "no");
  const auto add = [&rows](const char* name, const std::string& value) {
    if (!value.empty()) rows.emplace_back(name, value);
  };
  add("authority", own.tls_ca);
  add("certificate", own.tls_cert);
  add("token", own.token_file.empty() && !own.token.empty() ? rpc::kTokenVariable : own.token_file);
  return rows;
}

absl::StatusOr<int> ShowAccess(Context* context) {
  absl::StatusOr<rpc::Access> access = rpc::ResolveAccess(context->access, rpc::Caller::kClient);
  // The user may also want to see a worker's file.
  if (absl::IsFailedPrecondition(access.status())) {
    const auto worker = rpc::ResolveAccess(context->access, rpc::Caller::kWorker);
    if (worker.ok()) access = worker;
  }
  COPPICE_RETURN_IF_ERROR(access.status());
  if (!access->warning.empty()) {
    context->err << "coppice: warning: " << Printable(access->warning) << "\n";
  }
  COPPICE_ASSIGN_OR_RETURN(const Rows rows, Describe(*access));
  if (context->json) {
    nlohmann::ordered_json json;
    for (const auto& [name, value] : rows) json[name] = value;
    context->out << json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                 << "\n";
    return kExitDone;
  }
  for (const auto& [name, value] : rows) {
    context->out << name << std::string(13 - name.size(), ' ') << Printable(value) << "\n";
  }
  return kExitDone;
}

struct ExportFlags {
  std::string role, name, file;
};

// Only the coordinator's program signs certificates and changes its tokens, so it takes over this
// process.
absl::Status BecomeCoordinator(const std::vector<std::string>& args) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::string program = JoinPath(self.parent_path().string(), "coppice-coordinator");
  std::vector<std::string> words = {program};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return ErrnoToStatus(errno, absl::StrCat("cannot run ", program,
                                           ", which makes access files, beside this program"));
}

absl::StatusOr<int> Export(const ExportFlags& flags, Context* context) {
  COPPICE_ASSIGN_OR_RETURN(const rpc::Access access,
                           rpc::ResolveAccess(context->access, rpc::Caller::kClient));
  if (access.file.empty()) {
    return absl::FailedPreconditionError(
        "only the owner of a coordinator hands on access to it, by the access file that it wrote; "
        "leave the flags for other credentials out, or run `coppice-coordinator access export` on "
        "its machine");
  }
  COPPICE_ASSIGN_OR_RETURN(const rpc::AccessFile own, rpc::ReadAccessFile(access.file));
  if (own.data_dir.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        access.file, " was handed on and cannot be handed on again; ask the coordinator's owner"));
  }
  if (::access(own.data_dir.c_str(), R_OK | W_OK | X_OK) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the coordinator's data folder ", own.data_dir, " is on ", own.host, ", and this is ",
        HostName(), ", which does not see it; run the command there"));
  }
  context->out << std::flush;
  std::vector<std::string> args = {"--data-dir", own.data_dir, "access",
                                   "export",     "--role",     flags.role};
  if (!flags.name.empty()) args.insert(args.end(), {"--name", flags.name});
  args.insert(args.end(), {"--", flags.file});
  return BecomeCoordinator(args);
}

}  // namespace

void AddAccess(CLI::App* app, Context* context, Action* action) {
  CLI::App* const access = app->add_subcommand(
      "access", "How this account gets in to its coordinator, and how others may");
  access->require_subcommand(1);
  CLI::App* const show = access->add_subcommand(
      "show", "Which coordinator and which credentials every command uses; no secrets");
  AddJsonFlag(show, context);
  show->callback([=] { *action = [=] { return ShowAccess(context); }; });

  CLI::App* const command = access->add_subcommand(
      "export",
      "Make an access file to hand on, with a certificate and a token of its own; on the "
      "coordinator's machine");
  const auto flags = std::make_shared<ExportFlags>();
  command->add_option("FILE", flags->file, "The new file")->required();
  command->add_option("--role", flags->role, "worker: for machines that train; viewer: to look")
      ->required()
      ->check(CLI::IsMember({"worker", "viewer"}));
  command->add_option(
      "--name", flags->name,
      "Whose it is, for `coppice-coordinator token list` and `revoke` [the role and "
      "a random number]");
  command->callback([=] { *action = [=] { return Export(*flags, context); }; });
}

}  // namespace coppice::cli
