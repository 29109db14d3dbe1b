#ifndef COPPICE_COORDINATOR_STORE_COLLECT_H_
#define COPPICE_COORDINATOR_STORE_COLLECT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/status_macros.h"
#include "coordinator/store/database.h"

namespace coppice::store {

// Every row of a query, in its order; the error of the step that failed, if one does.
template <typename Row>
absl::StatusOr<std::vector<Row>> Collect(Query& query, Row (*read)(const Query&)) {
  std::vector<Row> rows;
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return rows;
    rows.push_back(read(query));
  }
}

}  // namespace coppice::store

#endif  // COPPICE_COORDINATOR_STORE_COLLECT_H_
