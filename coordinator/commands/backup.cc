#include "coordinator/commands/backup.h"

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/store/backup.h"

namespace coppice::commands {
namespace {

struct BackupFlags {
  std::string file;
  bool force = false;
};

std::string Remedy(absl::StatusCode code, const std::string& data_dir) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return absl::StrCat("; name the coordinator's data directory with --data-dir (this was ",
                          data_dir, "), and an existing folder for the file");
    case absl::StatusCode::kAlreadyExists:
      return "; choose another name, or replace it with --force";
    case absl::StatusCode::kResourceExhausted:
      return "; nothing was written: free space on the backup's disk, or choose another";
    case absl::StatusCode::kPermissionDenied:
      return "; run it as the coordinator's user, into a folder which that user can write";
    case absl::StatusCode::kUnavailable:
      return "; try again";
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal:
      return "; nothing was written: look at the disk, and keep the backups you have";
    default:
      return "";
  }
}

absl::Status Backup(const BackupFlags& flags, const std::string& data_dir, Clock* clock) {
  const absl::Duration begun = clock->Monotonic();
  const auto facts = store::BackupDatabase({.database = JoinPath(data_dir, "coppice.db"),
                                            .target = flags.file,
                                            .force = flags.force,
                                            .now_ms = clock->NowMillis()});
  if (!facts.ok()) {
    return absl::Status(
        facts.status().code(),
        absl::StrCat("cannot back up to ", flags.file, ": ", facts.status().message(),
                     Remedy(facts.status().code(), data_dir)));
  }
  std::printf("%s: %s, %llu sweeps, %llu jobs, store %s; %.2f s\n", flags.file.c_str(),
              absl::StrFormat("%.1f MiB", static_cast<double>(facts->bytes) / (1 << 20)).c_str(),
              static_cast<unsigned long long>(facts->sweeps),
              static_cast<unsigned long long>(facts->jobs), facts->store_id.c_str(),
              absl::ToDoubleSeconds(clock->Monotonic() - begun));
  return absl::OkStatus();
}

}  // namespace

void AddBackup(CLI::App* app, const std::string* data_dir, Clock* clock, Action* action) {
  auto flags = std::make_shared<BackupFlags>();
  CLI::App* command = app->add_subcommand(
      "backup", "Copy the database to a file, while the coordinator runs or not (docs/backup.md)");
  command->fallthrough();  // for --data-dir
  command->add_option("file", flags->file, "Where the backup goes")->required();
  command->add_flag("--force", flags->force, "Replace the file if it is there");
  command->callback([=] { *action = [=] { return Backup(*flags, *data_dir, clock); }; });
}

}  // namespace coppice::commands
