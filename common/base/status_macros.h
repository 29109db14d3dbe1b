#ifndef COPPICE_COMMON_BASE_STATUS_MACROS_H_
#define COPPICE_COMMON_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` from the enclosing function when it is not OK.
#define COPPICE_RETURN_IF_ERROR(expr)                  \
  do {                                                 \
    ::absl::Status coppice_status_ = (expr);           \
    if (!coppice_status_.ok()) return coppice_status_; \
  } while (false)

#define COPPICE_STATUS_CONCAT_INNER_(a, b) a##b
#define COPPICE_STATUS_CONCAT_(a, b) COPPICE_STATUS_CONCAT_INNER_(a, b)
#define COPPICE_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                   \
  if (!tmp.ok()) return tmp.status();                  \
  lhs = std::move(tmp).value()

// COPPICE_ASSIGN_OR_RETURN(auto x, MakeX()): declares or assigns x, or returns the error.
#define COPPICE_ASSIGN_OR_RETURN(lhs, expr) \
  COPPICE_ASSIGN_OR_RETURN_IMPL_(COPPICE_STATUS_CONCAT_(coppice_statusor_, __LINE__), lhs, expr)

#endif  // COPPICE_COMMON_BASE_STATUS_MACROS_H_
