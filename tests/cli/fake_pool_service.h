#ifndef COPPICE_TESTS_CLI_FAKE_POOL_SERVICE_H_
#define COPPICE_TESTS_CLI_FAKE_POOL_SERVICE_H_

#include <vector>

#include "absl/synchronization/mutex.h"
#include "coppice/v1/pools.grpc.pb.h"

namespace coppice::cli {

// Answers with the given pools and keeps the newest request of each kind. Members are read and set
// under `mutex`.
class FakePoolService final : public v1::PoolService::Service {
 public:
  absl::Mutex mutex;
  v1::ListPoolsResponse list;
  v1::CheckPoolResponse checked;
  grpc::Status change_status;  // the answer to every change
  v1::AddPoolRequest add;
  v1::CheckPoolRequest check;
  v1::ScalePoolRequest scale;
  v1::SetPoolModeRequest mode;
  v1::RemovePoolRequest remove;

  grpc::Status AddPool(grpc::ServerContext*, const v1::AddPoolRequest* request,
                       v1::AddPoolResponse*) override {
    return Keep(*request, &add);
  }
  grpc::Status ListPools(grpc::ServerContext*, const v1::ListPoolsRequest*,
                         v1::ListPoolsResponse* response) override {
    absl::MutexLock lock(&mutex);
    *response = list;
    return grpc::Status::OK;
  }
  grpc::Status GetPool(grpc::ServerContext*, const v1::GetPoolRequest* request,
                       v1::GetPoolResponse* response) override {
    absl::MutexLock lock(&mutex);
    for (const v1::Pool& pool : list.pools()) {
      if (pool.spec().name() == request->name()) *response->mutable_pool() = pool;
    }
    if (response->has_pool()) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "there is no pool '" + request->name() + "'"};
  }
  grpc::Status CheckPool(grpc::ServerContext*, const v1::CheckPoolRequest* request,
                         v1::CheckPoolResponse* response) override {
    absl::MutexLock lock(&mutex);
    check = *request;
    *response = checked;
    return grpc::Status::OK;
  }
  grpc::Status ScalePool(grpc::ServerContext*, const v1::ScalePoolRequest* request,
                         v1::ScalePoolResponse*) override {
    return Keep(*request, &scale);
  }
  grpc::Status SetPoolMode(grpc::ServerContext*, const v1::SetPoolModeRequest* request,
                           v1::SetPoolModeResponse*) override {
    return Keep(*request, &mode);
  }
  // Answers each call with the first of `handed`, and with a settled one once there are none.
  std::vector<v1::RunCommandsResponse> handed;
  std::vector<v1::RunCommandsRequest> answers;
  grpc::Status RunCommands(grpc::ServerContext*, const v1::RunCommandsRequest* request,
                           v1::RunCommandsResponse* response) override {
    absl::MutexLock lock(&mutex);
    answers.push_back(*request);
    if (handed.empty()) {
      response->set_settled(true);
      return change_status;
    }
    *response = handed.front();
    handed.erase(handed.begin());
    return change_status;
  }
  grpc::Status RemovePool(grpc::ServerContext*, const v1::RemovePoolRequest* request,
                          v1::RemovePoolResponse*) override {
    return Keep(*request, &remove);
  }

 private:
  template <typename Request>
  grpc::Status Keep(const Request& request, Request* newest) {
    absl::MutexLock lock(&mutex);
    *newest = request;
    return change_status;
  }
};

}  // namespace coppice::cli

#endif  // COPPICE_TESTS_CLI_FAKE_POOL_SERVICE_H_
