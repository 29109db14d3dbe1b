#include "tests/cli/fake_sweep_service.h"

namespace coppice::cli {

grpc::Status FakeSweepService::DeleteSweep(grpc::ServerContext*,
                                           const v1::DeleteSweepRequest* request,
                                           v1::DeleteSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  deletes.push_back(*request);
  if (!delete_status.ok()) return delete_status;
  *response->mutable_sweep() = sweeps[0];
  response->set_checkpoints(24);
  response->set_checkpoint_bytes(3'100'000);
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::AnnotateSweep(grpc::ServerContext*,
                                             const v1::AnnotateSweepRequest* request,
                                             v1::AnnotateSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  annotate = *request;
  if (request->has_note()) sweeps[0].set_note(request->note());
  for (const std::string& tag : request->add_tags()) sweeps[0].add_tags(tag);
  *response->mutable_sweep() = sweeps[0];
  Taint(response);
  return grpc::Status::OK;
}

}  // namespace coppice::cli
