#include "coordinator/store/connection.h"

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "absl/base/call_once.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::store {
namespace {

absl::StatusOr<std::string> WithoutLinksInFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  char resolved[PATH_MAX];
  if (::realpath(folder.c_str(), resolved) == nullptr) {
    return ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  return JoinPath(resolved, slash == std::string::npos ? path : path.substr(slash + 1));
}

// Folds a statement into one line, for a message.
std::string OneLine(absl::string_view sql) {
  return absl::StrJoin(absl::StrSplit(sql, absl::ByAnyChar(" \n"), absl::SkipEmpty()), " ");
}

}  // namespace

absl::Status SqliteStatus(int code, absl::string_view what, absl::string_view detail) {
  const std::string message = absl::StrCat("database: ", what, ": ", detail, " (", code, ")");
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return absl::OkStatus();
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(message);
    case SQLITE_NOTADB:
      return absl::FailedPreconditionError(message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(message);
    case SQLITE_INTERRUPT:
      return absl::CancelledError("the call was cancelled");
    default:
      return absl::InternalError(message);
  }
}

Statement::~Statement() { Reset(); }

void Statement::Reset() {
  next_ = 0;
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::BindText(absl::string_view value) {
  Note(sqlite3_bind_text64(statement_, ++next_, value.data() == nullptr ? "" : value.data(),
                           value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::BindBlob(absl::string_view value) {
  Note(sqlite3_bind_blob64(statement_, ++next_, value.data() == nullptr ? "" : value.data(),
                           value.size(), SQLITE_TRANSIENT));
}

void Statement::Note(int code) {
  if (code != SQLITE_OK && status_.ok()) {
    status_ = SqliteStatus(code, "cannot bind a parameter", sqlite3_errstr(code));
  }
}

absl::StatusOr<bool> Statement::Step() {
  if (!status_.ok()) return status_;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteStatus(sqlite3_extended_errcode(db_), OneLine(sqlite3_sql(statement_)),
                      sqlite3_errmsg(db_));
}

absl::Status Statement::Run() {
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return "";
  return std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

std::string Statement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return "";
  return std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, int flags) {
  // SQLite's memory statistics put every allocation of every connection behind one mutex, and
  // nobody reads them. SQLite refuses the change after a connection was opened elsewhere; then they
  // stay on.
  static absl::once_flag once;
  absl::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
  sqlite3* db = nullptr;
  std::string file = path;
  if ((flags & SQLITE_OPEN_NOFOLLOW) != 0) {
    // SQLite would refuse a link anywhere in the path, but only the file itself must not be one.
    COPPICE_ASSIGN_OR_RETURN(file, WithoutLinksInFolder(path));
  }
  const int code = sqlite3_open_v2(file.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const absl::Status status = SqliteStatus(code, absl::StrCat("cannot open ", path),
                                             db != nullptr ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close(db);
    return status;
  }
  sqlite3_extended_result_codes(db, 1);
  // Without it, each new value of a parameter that a partial index uses makes SQLite plan the
  // statement again.
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, nullptr);
  return std::unique_ptr<Connection>(new Connection(db));
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Statement Connection::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement != nullptr && sqlite3_stmt_busy(statement)) {
    return Statement(db_, nullptr,
                     absl::InternalError(
                         absl::StrCat("database: statement used within itself: ", OneLine(sql))));
  }
  if (statement == nullptr && sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                 &statement, nullptr) != SQLITE_OK) {
    return Statement(
        db_, nullptr,
        SqliteStatus(sqlite3_extended_errcode(db_), OneLine(sql), sqlite3_errmsg(db_)));
  }
  return Statement(db_, statement, absl::OkStatus());
}

absl::Status Connection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return absl::OkStatus();
  return SqliteStatus(code, OneLine(sql.substr(0, 120)), sqlite3_errmsg(db_));
}

absl::Status Connection::Checkpoint() {
  const int code =
      sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  return SqliteStatus(sqlite3_extended_errcode(db_), "checkpoint", sqlite3_errmsg(db_));
}

void Connection::OnWalCommit(int* frames) {
  const auto note = [](void* to, sqlite3*, const char*, int count) {
    *static_cast<int*>(to) = count;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(db_, frames == nullptr ? nullptr : +note, frames);
}

void Connection::StopWhen(std::function<bool()> stop) {
  // Some tenths of a millisecond between two checks.
  constexpr int kInstructions = 20'000;
  stop_ = std::move(stop);
  if (!stop_) return sqlite3_progress_handler(db_, 0, nullptr, nullptr);
  const auto look = [](void* db) { return static_cast<Connection*>(db)->stop_() ? 1 : 0; };
  sqlite3_progress_handler(db_, kInstructions, look, this);
}

absl::StatusOr<int64_t> Connection::PragmaInt(const std::string& name) {
  sqlite3_stmt* statement = nullptr;
  const std::string sql = absl::StrCat("PRAGMA ", name);
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    return SqliteStatus(sqlite3_extended_errcode(db_), sql, sqlite3_errmsg(db_));
  }
  const int code = sqlite3_step(statement);
  const int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_finalize(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    return SqliteStatus(code, sql, sqlite3_errstr(code));
  }
  return value;
}

absl::Status Connection::CopyInto(Connection& target) {
  sqlite3_backup* const backup = sqlite3_backup_init(target.db_, "main", db_, "main");
  if (backup == nullptr) {
    return SqliteStatus(sqlite3_extended_errcode(target.db_), "cannot begin a copy",
                        sqlite3_errmsg(target.db_));
  }
  // One step copies all pages in one snapshot. With several steps, each commit in between would
  // restart the copy.
  const int step = sqlite3_backup_step(backup, -1);
  const int finish = sqlite3_backup_finish(backup);
  if (step == SQLITE_DONE && finish == SQLITE_OK) return absl::OkStatus();
  const int code = finish != SQLITE_OK ? finish : step;
  return SqliteStatus(code, "cannot copy", sqlite3_errstr(code));
}

}  // namespace coppice::store
