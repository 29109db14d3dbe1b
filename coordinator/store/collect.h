#ifndef COPPICE_COORDINATOR_STORE_COLLECT_H_
#define COPPICE_COORDINATOR_STORE_COLLECT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/status_macros.h"
#include "coordinator/store/connection.h"

namespace coppice::store {

// Returns all rows of a statement in order, or the error of a failed step.
template <typename Row>
absl::StatusOr<std::vector<Row>> Collect(Statement& statement, Row (*read)(const Statement&)) {
  std::vector<Row> rows;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    rows.push_back(read(statement));
  }
}

// Does the same for rows that may not be understood. Returns the first such error.
template <typename Row>
absl::StatusOr<std::vector<Row>> Collect(Statement& statement,
                                         absl::StatusOr<Row> (*read)(const Statement&)) {
  std::vector<Row> rows;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    COPPICE_ASSIGN_OR_RETURN(rows.emplace_back(), read(statement));
  }
}

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_COLLECT_H_
