// One SQLite connection with cached statements: the thin layer between SQL text and typed rows.
#ifndef COPPICE_COORDINATOR_STORE_CONNECTION_H_
#define COPPICE_COORDINATOR_STORE_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice::store {

// RESOURCE_EXHAUSTED for a full disk, PERMISSION_DENIED for a file that cannot be written,
// FAILED_PRECONDITION for a file that is no database, UNAVAILABLE for a database that stays busy,
// CANCELLED for a statement that was stopped, otherwise INTERNAL. `code` is a (possibly extended)
// result code.
absl::Status SqliteStatus(int code, absl::string_view what, absl::string_view detail);

// Binds as bytes, not as text.
struct Blob {
  absl::string_view bytes;
};

// A statement with its parameters bound, from Connection::Prepare; reset when it goes out of scope.
// Text that a column returns is copied. Errors, also of preparing and binding, come out of Step and
// Run.
class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* statement, absl::Status status)
      : db_(db), statement_(statement), status_(std::move(status)) {}
  Statement(Statement&& other) noexcept
      : db_(other.db_),
        statement_(std::exchange(other.statement_, nullptr)),
        status_(std::move(other.status_)),
        next_(other.next_) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Binds the next parameters in order.
  template <typename... Values>
  Statement& Bind(const Values&... values) {
    (BindOne(values), ...);
    return *this;
  }

  // True: a row is there. False: the end.
  absl::StatusOr<bool> Step();
  // To the end; rows are not looked at.
  absl::Status Run();
  // For a statement used again at once, as in a bulk insert.
  void Reset();

  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  template <typename T>
  T As(int column) const {
    return static_cast<T>(Int(column));
  }
  double Real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string Text(int column) const;
  std::string Bytes(int column) const;

 private:
  template <typename T>
  void BindOne(const T& value) {
    if constexpr (std::is_floating_point_v<T>) {
      Note(sqlite3_bind_double(statement_, ++next_, value));
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      Note(sqlite3_bind_int64(statement_, ++next_, static_cast<int64_t>(value)));
    } else if constexpr (std::is_same_v<T, Blob>) {
      BindBlob(value.bytes);
    } else {
      BindText(absl::string_view(value));
    }
  }
  void BindText(absl::string_view value);
  void BindBlob(absl::string_view value);
  void Note(int code);

  sqlite3* db_;
  sqlite3_stmt* statement_;
  absl::Status status_;
  int next_ = 0;
};

// Purpose: a connection. Owner: SqliteStore. One thread at a time.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, int flags);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // `sql` must be a literal: its address is the key of the statement cache.
  Statement Prepare(const char* sql);
  // One or more statements without parameters.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<int64_t> PragmaInt(const std::string& name);
  // Copies everything, as of one instant, over what `target` holds (SQLite's online backup). In WAL
  // mode writers of this database go on meanwhile; its log cannot start over before the end.
  absl::Status CopyInto(Connection& target);
  // Copies from the WAL into the file what no reader forbids (SQLITE_CHECKPOINT_PASSIVE). OK also
  // when another connection does that now.
  absl::Status Checkpoint();
  // Each commit leaves in `frames` how many the WAL has; SQLite checkpoints no more by itself.
  // Null: no more of that either. Not to be called inside a transaction.
  void OnWalCommit(int* frames);

  // Statements fail with CANCELLED soon after `stop` has become true; null: no more of that.
  void StopWhen(std::function<bool()> stop);

  int changes() const { return sqlite3_changes(db_); }
  int64_t last_insert_rowid() const { return sqlite3_last_insert_rowid(db_); }
  // SQLite rolls a transaction back on its own after some errors (full disk, I/O).
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

 private:
  explicit Connection(sqlite3* db) : db_(db) {}

  sqlite3* db_;
  std::function<bool()> stop_;
  absl::flat_hash_map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_CONNECTION_H_
