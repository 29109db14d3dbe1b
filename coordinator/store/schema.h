#ifndef COPPICE_COORDINATOR_STORE_SCHEMA_H_
#define COPPICE_COORDINATOR_STORE_SCHEMA_H_

#include <vector>

#include "absl/status/status.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// Migration n (from 1) is the SQL that leads from version n - 1 to version n. It never changes once
// released; a new version is a new entry at the end. PRAGMA user_version holds the version, and
// application_id marks Coppice's files.
const std::vector<const char*>& Migrations();

// "COPP": the application_id of a Coppice database.
inline constexpr int64_t kApplicationId = 0x434f5050;

// Brings the database to the newest of `migrations`, each step in its own transaction.
// FAILED_PRECONDITION: the file is newer (the message names both versions), or it belongs to
// another program.
absl::Status Migrate(Connection& db, const std::vector<const char*>& migrations);

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_SCHEMA_H_
