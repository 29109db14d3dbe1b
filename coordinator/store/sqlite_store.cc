#include "coordinator/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "coordinator/store/connection.h"
#include "coordinator/store/database_lock.h"
#include "coordinator/store/reads.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/wal_check.h"
#include "coordinator/store/wal_checkpointer.h"
#include "coordinator/store/writes.h"

namespace coppice::store {
namespace {

constexpr char kMemory[] = ":memory:";

// Purpose: core::Store over one writer connection and a pool of reader connections (in memory: one
// connection for both, behind a mutex). Threads, failure codes, durability: as core::Store.
class SqliteStore : public core::Store {
 public:
  SqliteStore(std::optional<FileLock> lock, std::unique_ptr<Connection> writer,
              std::unique_ptr<WalCheckpointer> checkpointer,
              std::vector<std::unique_ptr<Connection>> readers, std::string store_id)
      : lock_(std::move(lock)),
        store_id_(std::move(store_id)),
        writer_(std::move(writer)),
        checkpointer_(std::move(checkpointer)),
        writes_(writer_.get()),
        readers_(std::move(readers)),
        shared_(readers_.empty()) {
    for (const auto& reader : readers_) idle_.push_back(reader.get());
  }

  absl::Status RunInTransaction(
      absl::FunctionRef<absl::Status(core::WriteTransaction&)> body) override {
    absl::MutexLock lock(&writer_mutex_);
    COPPICE_RETURN_IF_ERROR(writer_->Prepare("BEGIN IMMEDIATE").Run());
    absl::Status status = body(writes_);
    if (status.ok()) {
      status = writer_->in_transaction()
                   ? writer_->Prepare("COMMIT").Run()
                   : absl::InternalError("database: the transaction was rolled back");
    }
    if (!status.ok()) {
      writes_.ForgetNames();
      if (writer_->in_transaction()) writer_->Prepare("ROLLBACK").Run().IgnoreError();
    } else if (checkpointer_ != nullptr) {
      checkpointer_->Committed();
    }
    return status;
  }

  absl::Status Read(absl::FunctionRef<absl::Status(core::ReadTransaction&)> body) override {
    if (shared_) {
      absl::MutexLock lock(&writer_mutex_);
      const absl::Status status = body(writes_.read());
      writer_->StopWhen(nullptr);
      return status;
    }
    Connection* reader = Borrow();
    const absl::Status status = ReadOn(reader, body);
    absl::MutexLock lock(&mutex_);
    idle_.push_back(reader);
    return status;
  }

  std::string store_id() const override { return store_id_; }

 private:
  static absl::Status ReadOn(Connection* reader,
                             absl::FunctionRef<absl::Status(core::ReadTransaction&)> body) {
    COPPICE_RETURN_IF_ERROR(reader->Prepare("BEGIN").Run());
    SqliteReads reads(reader);
    const absl::Status status = body(reads);
    reader->StopWhen(nullptr);
    if (reader->in_transaction()) reader->Prepare("ROLLBACK").Run().IgnoreError();
    return status;
  }

  Connection* Borrow() {
    absl::MutexLock lock(&mutex_);
    const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !idle_.empty(); };
    mutex_.Await(absl::Condition(&free));
    Connection* reader = idle_.back();
    idle_.pop_back();
    return reader;
  }

  const std::optional<FileLock> lock_;
  const std::string store_id_;
  absl::Mutex writer_mutex_;  // uncontended, except for a database in memory
  const std::unique_ptr<Connection> writer_;
  const std::unique_ptr<WalCheckpointer> checkpointer_;  // null in memory
  SqliteWrites writes_ ABSL_GUARDED_BY(writer_mutex_);
  const std::vector<std::unique_ptr<Connection>> readers_;
  const bool shared_;
  absl::Mutex mutex_;
  std::vector<Connection*> idle_ ABSL_GUARDED_BY(mutex_);
};

absl::Status Configure(Connection& db) {
  return db.Execute(R"sql(
      PRAGMA busy_timeout = 10000;
      PRAGMA foreign_keys = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON;
      PRAGMA cache_size = -32768;
      PRAGMA temp_store = MEMORY)sql");
}

// Limits the writer's file if requested, and ensures that a commit is on disk before it is
// reported.
absl::Status ConfigureWriter(Connection& db, uint64_t max_bytes) {
  COPPICE_RETURN_IF_ERROR(Configure(db));
  COPPICE_RETURN_IF_ERROR(db.Execute(R"sql(
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = 67108864)sql"));
  if (max_bytes == 0) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const int64_t page_size, db.PragmaInt("page_size"));
  return db.Execute(
      absl::StrCat("PRAGMA max_page_count = ", max_bytes / static_cast<uint64_t>(page_size)));
}

absl::StatusOr<std::string> StoreId(Connection& db) {
  {
    Statement find = db.Prepare("SELECT value FROM meta WHERE key = 'store_id'");
    COPPICE_ASSIGN_OR_RETURN(const bool found, find.Step());
    if (found) return find.Text(0);
  }
  const std::string id = RandomId();
  COPPICE_RETURN_IF_ERROR(
      db.Prepare("INSERT INTO meta (key, value) VALUES ('store_id', ?)").Bind(id).Run());
  return id;
}

// Checks for losses that SQLite ignores in silence (wal_check.h). True: changes are lost, and that
// is accepted.
absl::StatusOr<bool> CheckLog(const SqliteOptions& options) {
  COPPICE_ASSIGN_OR_RETURN(const WalState log, CheckWal(options.path + "-wal"));
  if (log.lost_commits < 2) return false;
  if (options.accept_data_loss) {
    spdlog::error("{}-wal is damaged behind {} transactions; going on without the {} behind them",
                  options.path, log.commits, log.lost_commits);
    return true;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the write-ahead log ", options.path, "-wal is damaged behind ", log.commits,
      " transactions: ", log.lost_commits,
      " that were acknowledged cannot be read any more. Check the disk; then restore a backup, or "
      "start once with --accept-data-loss to go on with what can be read (a job computes again "
      "what is missing; a sweep, a pause, a cancellation of that time has to be asked for again)"));
}

// Starts with an empty log, so that a log found damaged later contains nothing older. If the disk
// lacks room for that, the log stays, which is just as good.
void EmptyLog(Connection& db) {
  const absl::Status emptied = db.Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!emptied.ok()) spdlog::warn("the write-ahead log stays: {}", std::string(emptied.message()));
}

// The pages of a damaged log may not match those of its database.
absl::Status CheckPages(Connection& db) {
  Statement check = db.Prepare("PRAGMA quick_check(1)");
  COPPICE_ASSIGN_OR_RETURN(const bool row, check.Step());
  if (row && check.Text(0) == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("what can be read of the database contradicts itself (",
                                          row ? check.Text(0) : "no answer",
                                          "): restore a backup"));
}

// A new database is readable by its owner alone. SQLite gives its log the same mode.
absl::Status CreateDatabaseFile(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd >= 0) ::close(fd);
  if (fd >= 0 || errno == EEXIST) return absl::OkStatus();
  return ErrnoToStatus(errno, absl::StrCat("cannot create ", path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<core::Store>> OpenSqliteStore(SqliteOptions options) {
  const bool in_memory = options.path == kMemory;
  std::optional<FileLock> lock;
  bool damaged = false;
  if (!in_memory) {
    COPPICE_ASSIGN_OR_RETURN(FileLock held, LockDatabase(options.path));
    lock.emplace(std::move(held));
    COPPICE_ASSIGN_OR_RETURN(damaged, CheckLog(options));
  }
  int flags = SQLITE_OPEN_READWRITE;
  if (!in_memory) {
    COPPICE_RETURN_IF_ERROR(CreateDatabaseFile(options.path));
    flags |= SQLITE_OPEN_NOFOLLOW;
  }
  const auto name_file = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(options.path, ": ", status.message()));
  };
  COPPICE_ASSIGN_OR_RETURN(auto writer, Connection::Open(options.path, flags | SQLITE_OPEN_CREATE));
  if (auto status = Migrate(*writer, Migrations()); !status.ok()) return name_file(status);
  if (auto status = ConfigureWriter(*writer, options.max_bytes); !status.ok())
    return name_file(status);
  if (damaged) {
    if (auto status = CheckPages(*writer); !status.ok()) return name_file(status);
  }
  if (!in_memory) EmptyLog(*writer);
  COPPICE_ASSIGN_OR_RETURN(std::string store_id, StoreId(*writer));
  std::vector<std::unique_ptr<Connection>> readers;
  for (int i = 0; !in_memory && i < std::max(1, options.readers); ++i) {
    COPPICE_ASSIGN_OR_RETURN(auto reader, Connection::Open(options.path, flags));
    COPPICE_RETURN_IF_ERROR(Configure(*reader));
    COPPICE_RETURN_IF_ERROR(reader->Execute("PRAGMA query_only = ON"));
    readers.push_back(std::move(reader));
  }
  std::unique_ptr<WalCheckpointer> checkpointer;
  if (!in_memory) {
    COPPICE_ASSIGN_OR_RETURN(checkpointer, WalCheckpointer::Open(options.path, writer.get()));
  }
  return std::unique_ptr<core::Store>(new SqliteStore(std::move(lock), std::move(writer),
                                                      std::move(checkpointer), std::move(readers),
                                                      std::move(store_id)));
}

}  // namespace coppice::store
