#include "coordinator/security/token_registry.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/secret_file.h"
#include "common/base/status_macros.h"

namespace coppice::security {
namespace {

constexpr absl::Duration kTokenFileCheckInterval = absl::Seconds(2);
constexpr absl::Duration kWriteUsesEvery = absl::Minutes(1);

// A text that changes when the file is replaced or written to.
std::string StampOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return "gone";
  return absl::StrCat(info.st_dev, ".", info.st_ino, ".", info.st_size, ".", info.st_mode, ".",
                      info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec);
}

absl::Status CheckOwner(const std::string& path, const struct stat& info) {
  if (info.st_uid == ::geteuid() || info.st_uid == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " belongs to another account (user id ", info.st_uid,
                   "), which could let itself in; give it to the coordinator's, or run the program "
                   "as that one"));
}

// Somebody who can replace the table needs no token.
absl::Status CheckFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot read ", folder));
  }
  COPPICE_RETURN_IF_ERROR(CheckOwner(folder, info));
  const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  // In a sticky folder (/tmp) only the owner can replace a file.
  if (!others_write || (info.st_mode & S_ISVTX) != 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "other accounts may write to %s (its mode is %04o) and so put another token file there; run "
      "`chmod go-w %s`, and look through the tokens",
      folder, info.st_mode & 07777, folder));
}

// Checks that only this account and the superuser can change or replace the table.
absl::Status CheckPlace(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  COPPICE_RETURN_IF_ERROR(CheckOwner(path, info));
  COPPICE_RETURN_IF_ERROR(CheckFolder(path));
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  return CheckFolder(resolved);
}

// An empty table would admit nobody. Most likely the file was truncated.
absl::Status CheckNotEmpty(const std::string& path, const TokenTable& table) {
  if (!table.records().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("token file ", path,
                   " holds no token, so nobody could come in; add one with `coppice-coordinator "
                   "token add`"));
}

}  // namespace

absl::StatusOr<TokenTable> LoadTokens(const std::string& path) {
  const absl::Status place = CheckPlace(path);
  if (!place.ok() && !absl::IsNotFound(place)) return place;
  absl::StatusOr<std::string> text = ReadSecretFile(path);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(
        "there is no token file ", path,
        "; make one with `coppice-coordinator init-tls --dir DIR` or `coppice-coordinator token "
        "add`"));
  }
  if (!text.ok()) return text.status();
  absl::StatusOr<TokenTable> table = TokenTable::Parse(*text);
  if (table.ok()) return table;
  return absl::InvalidArgumentError(
      absl::StrCat("token file ", path, ": ", table.status().message()));
}

absl::StatusOr<std::unique_ptr<TokenRegistry>> TokenRegistry::Open(std::string path, Clock* clock) {
  std::unique_ptr<TokenRegistry> registry(new TokenRegistry(std::move(path), clock));
  std::string stamp = StampOf(registry->path_);
  COPPICE_ASSIGN_OR_RETURN(TokenTable table, LoadTokens(registry->path_));
  COPPICE_RETURN_IF_ERROR(CheckNotEmpty(registry->path_, table));
  {
    absl::MutexLock lock(&registry->mutex_);
    registry->table_ = std::make_shared<const TokenTable>(std::move(table));
    registry->stamp_ = std::move(stamp);
  }
  registry->ReadUses();
  registry->WriteUses(/*at_once=*/true);
  registry->ScheduleCheck();
  return registry;
}

TokenRegistry::~TokenRegistry() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  reader_.Shutdown();
  std::optional<Clock::TimerId> timer;
  {
    absl::MutexLock lock(&mutex_);
    timer = timer_;
  }
  if (timer.has_value()) clock_->Cancel(*timer);
  if (table() != nullptr) WriteUses(/*at_once=*/true);
}

void TokenRegistry::ReadUses() {
  const absl::StatusOr<TokenUses> uses = LoadTokenUses(path_);
  uses_since_ = uses.ok() ? uses->since : clock_->Now();
  if (!uses.ok()) {
    if (!absl::IsNotFound(uses.status())) {
      spdlog::warn("when tokens were used before is not known, since {} cannot be read: {}",
                   TokenUsesFile(path_), std::string(uses.status().message()));
    }
    return;
  }
  for (const TokenRecord& record : table()->records()) {
    const auto found = uses->last.find(record.name);
    // An earlier token may have had this name.
    if (found == uses->last.end() || found->second < record.created) continue;
    record.last_use->Note(found->second);
  }
}

void TokenRegistry::WriteUses(bool at_once) {
  const absl::Duration now = clock_->Monotonic();
  if (!at_once && now - uses_written_at_ < kWriteUsesEvery) return;
  TokenUses uses{uses_since_, {}};
  for (const TokenRecord& record : table()->records()) {
    const absl::Time when = record.last_use->when();
    if (when != absl::InfinitePast()) uses.last[record.name] = when;
  }
  std::string text = SerializeTokenUses(uses);
  uses_written_at_ = now;
  if (text == uses_written_) return;
  const absl::Status written = ReplaceSecretFile(TokenUsesFile(path_), text);
  if (written.ok()) {
    uses_written_ = std::move(text);
  } else if (!std::exchange(uses_refused_, true)) {
    spdlog::warn(
        "`token list` will not tell when tokens were last used: {}; make the folder "
        "writable for the coordinator",
        std::string(written.message()));
  }
}

std::shared_ptr<const TokenTable> TokenRegistry::table() const {
  absl::MutexLock lock(&mutex_);
  return table_;
}

void TokenRegistry::OnRevoked(std::function<void()> callback) {
  absl::MutexLock lock(&callback_mutex_);
  on_revoked_ = std::move(callback);
}

void TokenRegistry::ScheduleCheck() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  timer_ = clock_->Schedule(kTokenFileCheckInterval, [this] {
    reader_.Add([this] {
      ReloadIfChanged();
      WriteUses(/*at_once=*/false);
      ScheduleCheck();
    });
  });
}

void TokenRegistry::ReloadIfChanged() {
  {
    const std::string stamp = StampOf(path_);
    absl::MutexLock lock(&mutex_);
    if (stamp == stamp_) return;
  }
  Reload();
}

void TokenRegistry::Settle() {
  absl::Notification settled;
  if (reader_.Add([&settled] { settled.Notify(); })) settled.WaitForNotification();
}

void TokenRegistry::Reload() {
  std::string stamp = StampOf(path_);
  absl::StatusOr<TokenTable> loaded = LoadTokens(path_);
  if (loaded.ok()) {
    const absl::Status somebody = CheckNotEmpty(path_, *loaded);
    if (!somebody.ok()) loaded = somebody;
  }
  bool revoked = false;
  {
    absl::MutexLock lock(&mutex_);
    stamp_ = std::move(stamp);
    if (!loaded.ok()) {
      spdlog::error("the tokens stay as they were: {}", loaded.status().ToString());
      return;
    }
    revoked = loaded->TakesAwayFrom(*table_);
    loaded->KeepUsesOf(*table_);
    spdlog::info("read the tokens again: {} accepted{}", loaded->records().size(),
                 revoked ? ", some revoked; open streams end" : "");
    table_ = std::make_shared<const TokenTable>(*std::move(loaded));
  }
  absl::MutexLock lock(&callback_mutex_);
  if (revoked && on_revoked_) on_revoked_();
}

}  // namespace coppice::security
