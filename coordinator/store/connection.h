// A SQLite connection with cached statements: the thin layer between SQL text and typed rows.
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

// Converts a (possibly extended) result code. RESOURCE_EXHAUSTED for a full disk, PERMISSION_DENIED
// for a file that cannot be written, FAILED_PRECONDITION for a file that is no database,
// UNAVAILABLE for a database that stays busy, CANCELLED for a stopped statement, otherwise
// INTERNAL.
absl::Status SqliteStatus(int code, absl::string_view what, absl::string_view detail);

// A value bound as bytes, not as text.
struct Blob {
  absl::string_view bytes;
};

// A statement with its bound parameters, from Connection::Prepare. It is reset when it goes out of
// scope. Text from a column is copied. Step and Run return all errors, including those of preparing
// and binding.
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

  // True: there is a row. False: no more rows.
  absl::StatusOr<bool> Step();
  // Runs to the end and ignores the rows.
  absl::Status Run();
  // For a statement that is reused at once, as in a bulk insert.
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

// Purpose: one SQLite connection. Owner: SqliteStore. One thread at a time.
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
  // Copies the whole database, as of one instant, over the contents of `target` (SQLite's online
  // backup). In WAL mode other connections can write meanwhile, but the log cannot restart before
  // the end.
  absl::Status CopyInto(Connection& target);
  // Copies the part of the WAL that no reader still needs into the file
  // (SQLITE_CHECKPOINT_PASSIVE). OK also if another connection is doing that now.
  absl::Status Checkpoint();
  // Sets `frames` to the WAL's number of frames after each commit, and turns off SQLite's automatic
  // checkpoints. Null stops the updates. Do not call it inside a transaction.
  void OnWalCommit(int* frames);

  // Makes statements fail with CANCELLED soon after `stop` returns true. Null ends that.
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
