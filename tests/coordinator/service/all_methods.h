// The methods of the coordinator's services, and who may call each.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_ALL_METHODS_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_ALL_METHODS_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/security/tokens.h"
#include "coppice/v1/coordinator.pb.h"
#include "coppice/v1/pools.pb.h"

namespace coppice::service {

// From the services' descriptors: "/coppice.v1.SweepService/ListSweeps".
inline std::vector<std::string> AllMethods() {
  std::vector<std::string> paths;
  for (const google::protobuf::FileDescriptor* file :
       {v1::GetSweepRequest::descriptor()->file(), v1::GetPoolRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const google::protobuf::ServiceDescriptor* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m)
        paths.push_back(absl::StrCat("/", service->full_name(), "/", service->method(m)->name()));
    }
  }
  return paths;
}

inline bool MayCall(security::Role role, const std::string& path) {
  if (absl::StrContains(path, "WorkerService") || absl::EndsWith(path, "/ReportNode"))
    return role == security::Role::kWorker;
  for (const char* change :
       {"/SubmitSweep", "/ExtendSweep", "/AnnotateSweep", "/DeleteSweep", "/CancelJobs",
        "/PauseSweep", "/ResumeSweep", "/RetryJobs", "/DrainWorker", "/ForgetWorker", "/AddPool",
        "/CheckPool", "/ScalePool", "/SetPoolMode", "/RemovePool", "/RunCommands"}) {
    if (absl::EndsWith(path, change)) return role == security::Role::kOperator;
  }
  return role == security::Role::kViewer || role == security::Role::kOperator;
}

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_ALL_METHODS_H_
