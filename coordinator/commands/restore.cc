#include "coordinator/commands/restore.h"

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/core/restore.h"
#include "coordinator/store/restore.h"
#include "coordinator/store/sqlite_store.h"

namespace coppice::commands {
namespace {

struct RestoreFlags {
  std::string file;
  bool force = false;
};

std::string Remedy(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kAlreadyExists:
      return "; put it aside with --force, if it is really to be replaced";
    case absl::StatusCode::kPermissionDenied:
      return "; run it as the coordinator's user";
    case absl::StatusCode::kResourceExhausted:
      return "; free space on the data directory's disk";
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal:
      return "; nothing was replaced: try an earlier backup";
    default:
      return "";
  }
}

struct Restored {
  core::RestoreSummary summary;
  store::DatabaseFacts facts;
  std::string aside;
};

absl::StatusOr<Restored> Restore(const RestoreFlags& flags, const std::string& database,
                                 Clock* clock) {
  COPPICE_ASSIGN_OR_RETURN(const auto staged,
                           store::StagedRestore::Begin(
                               {.backup = flags.file, .database = database, .force = flags.force}));
  Restored restored;
  restored.facts = staged->facts();
  {
    COPPICE_ASSIGN_OR_RETURN(const auto copy, store::OpenSqliteStore({.path = staged->path()}));
    COPPICE_ASSIGN_OR_RETURN(restored.summary,
                             core::PrepareRestored(*copy, *clock, staged->facts().backup_ms));
  }
  COPPICE_ASSIGN_OR_RETURN(restored.aside, staged->Install(clock->NowMillis()));
  return restored;
}

absl::Status RunRestore(const RestoreFlags& flags, const std::string& data_dir, Clock* clock) {
  const std::string database = JoinPath(data_dir, "coppice.db");
  const auto restored = Restore(flags, database, clock);
  if (!restored.ok()) {
    return absl::Status(restored.status().code(), absl::StrCat("cannot restore ", flags.file, ": ",
                                                               restored.status().message(),
                                                               Remedy(restored.status().code())));
  }
  if (!restored->aside.empty()) {
    std::printf("the database that was there is now %s\n", restored->aside.c_str());
  }
  const core::RestoreSummary& summary = restored->summary;
  std::printf(
      "%s: restored, %llu sweeps, %llu jobs (%llu unfinished; %llu were running and are pending "
      "again), store %s\nWhat was reported since the backup is not known: those jobs go on from "
      "the last checkpoint that it lists. Start the coordinator with the same --checkpoint-dir.\n",
      database.c_str(), static_cast<unsigned long long>(summary.sweeps),
      static_cast<unsigned long long>(summary.jobs),
      static_cast<unsigned long long>(summary.unfinished),
      static_cast<unsigned long long>(summary.released), restored->facts.store_id.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddRestore(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action) {
  auto flags = std::make_shared<RestoreFlags>();
  CLI::App* command = app->add_subcommand(
      "restore", "Make a backup the database; no coordinator may run meanwhile (docs/backup.md)");
  command->fallthrough();  // for --data-dir
  command->add_option("file", flags->file, "A file that `backup` wrote")->required();
  command->add_flag("--force", flags->force,
                    "Put aside the database that is there, as coppice.db.replaced-TIME");
  command->callback([=] { *action = [=] { return RunRestore(*flags, *data_dir, clock); }; });
}

}  // namespace coppice::commands
