#ifndef COPPICE_COORDINATOR_SERVICE_SERVER_FACTS_H_
#define COPPICE_COORDINATOR_SERVICE_SERVER_FACTS_H_

#include <functional>
#include <string>
#include <vector>

#include "coordinator/security/certificate_watch.h"
#include "coordinator/security/token_registry.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::service {

// Facts about the server for its handlers. Owner: Server. They do not change once calls arrive.
struct ServerFacts {
  std::string address;
  const security::TokenRegistry* tokens = nullptr;  // null: no token is required
  std::function<std::vector<security::CertificateState>()> certificates;  // may be empty
};

void ToProto(const ServerFacts& facts, v1::GetServerInfoResponse* out);
void WarningsToProto(const ServerFacts& facts, v1::ListWorkersResponse* out);

}  // namespace coppice::service

#endif  // COPPICE_COORDINATOR_SERVICE_SERVER_FACTS_H_
