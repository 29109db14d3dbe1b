// Access rules: one row for each RPC that this server answers.
#ifndef COPPICE_COORDINATOR_SERVICE_ACCESS_H_
#define COPPICE_COORDINATOR_SERVICE_ACCESS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "coordinator/security/tokens.h"

namespace coppice::service {

// kOpen: anybody, even without a token. kRead: viewer and operator. kChange: operator. kWork:
// worker.
enum class Access { kOpen, kRead, kChange, kWork };

struct AccessRule {
  absl::string_view path;  // "/package.Service/Method", as HTTP/2 carries it
  Access access;
};

// All rules. A test compares them with the services' descriptors.
absl::Span<const AccessRule> AccessRules();

// PERMISSION_DENIED, naming the required role, unless `role` may call `path`. Nobody may call a
// method without a rule.
absl::Status CheckAccess(security::Role role, absl::string_view path);
// Whether `path` may be called without a token.
bool IsOpen(absl::string_view path);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_ACCESS_H_
