#include "coordinator/service/sweep_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/spec/difference.h"
#include "common/spec/plan.h"
#include "coordinator/service/answer.h"
#include "coordinator/service/caller_of.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/convert_pools.h"
#include "coordinator/service/spec_reader.h"
#include "coordinator/service/sweep_streams.h"

namespace coppice::service {
namespace {

// An error's message has no room for more.
constexpr size_t kMaxDifferencesListed = 8;

// The differences between the stored sweep and a sent one of the same name; empty: none.
absl::StatusOr<std::vector<std::string>> Differences(const core::SweepDetails& stored,
                                                     const v1::SweepSpec& sent,
                                                     v1::SweepSpec* stored_spec) {
  if (!stored_spec->ParseFromString(stored.spec_blob)) {
    return absl::InternalError(
        absl::StrCat("the stored spec of sweep '", sent.name(), "' cannot be read"));
  }
  return spec::Differences(*stored_spec, sent);
}

absl::Status Taken(const std::string& name, std::vector<std::string> differences) {
  const size_t count = differences.size();
  if (count > kMaxDifferencesListed) {
    differences.resize(kMaxDifferencesListed);
    differences.push_back(absl::StrCat("and ", count - kMaxDifferencesListed, " more"));
  }
  return absl::AlreadyExistsError(absl::StrCat(
      "a sweep '", name, "' exists with other settings: ", absl::StrJoin(differences, "; ")));
}

// One submission. The core compares specs byte by byte. An equivalent spec (with an explicit
// default, or a list in another order) is therefore submitted again in its stored form, so that it
// counts as resent. Owner: its callbacks.
class Submission : public std::enable_shared_from_this<Submission> {
 public:
  Submission(core::Coordinator* core, core::Caller caller, grpc::ServerUnaryReactor* reactor,
             const v1::SubmitSweepRequest* request, v1::SubmitSweepResponse* response,
             uint32_t pack_width)
      : core_(core),
        caller_(std::move(caller)),
        reactor_(reactor),
        request_(request),
        response_(response),
        pack_width_(pack_width) {}

  void Submit(core::SweepSpec spec) {
    core_->SubmitSweep(
        caller_, std::move(spec), pack_width_,
        [self = shared_from_this()](const absl::StatusOr<core::SubmitResult>& result) {
          if (absl::IsAlreadyExists(result.status())) return self->Compare(result.status());
          self->Finish(result);
        });
  }

 private:
  void Compare(const absl::Status& refused) {
    core_->GetSweep(
        caller_, request_->spec().name(),
        [self = shared_from_this(), refused](const absl::StatusOr<core::SweepDetails>& stored) {
          if (!stored.ok()) return self->Finish(refused);
          v1::SweepSpec spec;
          absl::StatusOr<std::vector<std::string>> differences =
              Differences(*stored, self->request_->spec(), &spec);
          if (!differences.ok()) return self->Finish(differences.status());
          if (!differences->empty())
            return self->Finish(Taken(spec.name(), *std::move(differences)));
          absl::StatusOr<core::SweepSpec> same = SweepSpecFromProto(spec);
          if (!same.ok()) return self->Finish(refused);
          self->core_->SubmitSweep(
              self->caller_, *std::move(same), self->pack_width_,
              [self](const absl::StatusOr<core::SubmitResult>& result) { self->Finish(result); });
        });
  }

  void Finish(const absl::StatusOr<core::SubmitResult>& result) {
    Answer<core::SubmitResult>(reactor_, [this](const core::SubmitResult& submitted) {
      return ToProto(submitted, response_);
    })(result);
  }

  core::Coordinator* const core_;
  const core::Caller caller_;
  grpc::ServerUnaryReactor* const reactor_;
  const v1::SubmitSweepRequest* const
      request_;  // like the response, lives until the reactor finishes
  v1::SubmitSweepResponse* const response_;
  const uint32_t pack_width_;
};

// Reports the effect that a submission would have.
absl::Status DryRun(const absl::StatusOr<core::SweepDetails>& stored,
                    const v1::SubmitSweepRequest& request, uint32_t pack_width,
                    v1::SubmitSweepResponse* response) {
  if (!stored.ok() && !absl::IsNotFound(stored.status())) return stored.status();
  *response->mutable_plan() = spec::MakePlan(request.spec(), pack_width);
  response->set_compared(true);
  if (!stored.ok()) return absl::OkStatus();
  v1::SweepSpec spec;
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> differences,
                           Differences(*stored, request.spec(), &spec));
  response->set_exists(true);
  ToProto(stored->summary, response->mutable_sweep());
  for (const std::string& difference : differences) response->add_differences(difference);
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* SweepServiceImpl::SubmitSweep(Context* context,
                                                        const v1::SubmitSweepRequest* request,
                                                        v1::SubmitSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::SweepSpec> spec = SweepSpecFromProto(request->spec());
  if (!spec.ok()) return Refuse(reactor, spec.status());
  const absl::StatusOr<uint32_t> width = PlanPackWidth(request->pack_width());
  if (!width.ok()) return Refuse(reactor, width.status());
  if (request->dry_run()) {
    core_->GetSweep(CallerOf(context), request->spec().name(),
                    [=](const absl::StatusOr<core::SweepDetails>& stored) {
                      reactor->Finish(Outcome(DryRun(stored, *request, *width, response)));
                    });
  } else {
    std::make_shared<Submission>(core_, NamedCallerOf(context, facts_->tokens), reactor, request,
                                 response, *width)
        ->Submit(*std::move(spec));
  }
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ExtendSweep(Context* context,
                                                        const v1::ExtendSweepRequest* request,
                                                        v1::ExtendSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::SweepSpec> spec = SweepSpecFromProto(request->spec());
  if (!spec.ok()) return Refuse(reactor, spec.status());
  const absl::StatusOr<uint32_t> width = PlanPackWidth(request->pack_width());
  if (!width.ok()) return Refuse(reactor, width.status());
  core_->ExtendSweep(NamedCallerOf(context, facts_->tokens),
                     {*std::move(spec), request->dry_run(), std::make_shared<const SpecReader>()},
                     Answer<core::ExtendResult>(reactor, [request, response, width = *width](
                                                             const core::ExtendResult& result) {
                       ToProto(result, response);
                       *response->mutable_plan() = spec::MakePlan(request->spec(), width);
                     }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::GetSweep(Context* context,
                                                     const v1::GetSweepRequest* request,
                                                     v1::GetSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> name = SweepNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  core_->GetSweep(CallerOf(context), *std::move(name),
                  Answer<core::SweepDetails>(reactor, [=](const core::SweepDetails& sweep) {
                    return ToProto(sweep, request->without_runs(), response);
                  }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListSweeps(Context* context,
                                                       const v1::ListSweepsRequest* request,
                                                       v1::ListSweepsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  const absl::StatusOr<core::SweepId> after = SweepTokenFromProto(request->page_token());
  if (!after.ok()) return Refuse(reactor, after.status());
  absl::StatusOr<std::vector<std::string>> tags = TagsFromProto(*request);
  if (!tags.ok()) return Refuse(reactor, tags.status());
  core_->ListSweeps(CallerOf(context),
                    Answer<std::vector<core::SweepSummary>>(
                        reactor, [response, after = *after, tags = *std::move(tags)](
                                     const std::vector<core::SweepSummary>& sweeps) {
                          ToProto(sweeps, tags, after, response);
                        }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::DeleteSweep(Context* context,
                                                        const v1::DeleteSweepRequest* request,
                                                        v1::DeleteSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::Deletion> deletion = DeletionFromProto(*request);
  if (!deletion.ok()) return Refuse(reactor, deletion.status());
  core_->DeleteSweep(
      NamedCallerOf(context, facts_->tokens), *std::move(deletion),
      Answer<core::DeletedSweep>(
          reactor, [response](const core::DeletedSweep& deleted) { ToProto(deleted, response); }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::AnnotateSweep(Context* context,
                                                          const v1::AnnotateSweepRequest* request,
                                                          v1::AnnotateSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::Annotation> annotation = AnnotationFromProto(*request);
  if (!annotation.ok()) return Refuse(reactor, annotation.status());
  core_->AnnotateSweep(
      NamedCallerOf(context, facts_->tokens), *std::move(annotation),
      Answer<core::SweepSummary>(reactor, [response](const core::SweepSummary& sweep) {
        ToProto(sweep, response->mutable_sweep());
      }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListJobs(Context* context,
                                                     const v1::ListJobsRequest* request,
                                                     v1::ListJobsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<PageRequest> page = PageFromProto(*request);
  if (!page.ok()) return Refuse(reactor, page.status());
  core_->ListJobs(CallerOf(context), std::move(page->filter), page->after, page->limit,
                  request->with_latest(),
                  Answer<core::JobPage>(
                      reactor, [response](const core::JobPage& jobs) { ToProto(jobs, response); }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::GetJob(Context* context,
                                                   const v1::GetJobRequest* request,
                                                   v1::GetJobResponse* response) {
  Unary* reactor = context->DefaultReactor();
  const absl::StatusOr<core::JobId> id = JobIdFromProto(request->job_id());
  if (!id.ok()) return Refuse(reactor, id.status());
  core_->GetJob(CallerOf(context), *id,
                Answer<core::JobDetails>(reactor, [response](const core::JobDetails& job) {
                  return ToProto(job, response);
                }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ExplainJob(Context* context,
                                                       const v1::ExplainJobRequest* request,
                                                       v1::ExplainJobResponse* response) {
  Unary* reactor = context->DefaultReactor();
  const absl::StatusOr<core::JobId> id = JobIdFromProto(request->job_id());
  if (!id.ok()) return Refuse(reactor, id.status());
  core_->ExplainJob(
      CallerOf(context), *id,
      [call = std::make_shared<OpenCall>(reactor), pools = pools_,
       response](const absl::StatusOr<core::Explanation>& explanation) {
        if (!explanation.ok()) return call->Finish(explanation.status());
        ToProto(*explanation, response);
        if (pools == nullptr || explanation->job.state != core::JobState::kPending) {
          return call->Finish(absl::OkStatus());
        }
        pools->Status([call, response](const absl::StatusOr<pools::AutoscalerStatus>& status) {
          if (status.ok()) {
            for (std::string& reason : ExplainPools(*status)) {
              response->add_reasons(std::move(reason));
            }
          }
          call->Finish(absl::OkStatus());  // the job itself has been explained
        });
      });
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::CancelJobs(Context* context,
                                                       const v1::CancelJobsRequest* request,
                                                       v1::CancelJobsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::JobFilter> filter = FilterFromProto(request->filter());
  if (!filter.ok()) return Refuse(reactor, filter.status());
  core_->CancelJobs(
      NamedCallerOf(context, facts_->tokens), *std::move(filter),
      Answer<uint64_t>(reactor, [response](uint64_t count) { response->set_cancelled(count); }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::RetryJobs(Context* context,
                                                      const v1::RetryJobsRequest* request,
                                                      v1::RetryJobsResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<core::JobFilter> filter = FilterFromProto(request->filter());
  if (!filter.ok()) return Refuse(reactor, filter.status());
  core_->RetryJobs(
      NamedCallerOf(context, facts_->tokens), *std::move(filter),
      Answer<uint64_t>(reactor, [response](uint64_t count) { response->set_retried(count); }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::PauseSweep(Context* context,
                                                       const v1::PauseSweepRequest* request,
                                                       v1::PauseSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> name = SweepNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  core_->SetPaused(NamedCallerOf(context, facts_->tokens), *std::move(name), true,
                   Answer<core::SweepSummary>(reactor, [response](const core::SweepSummary& sweep) {
                     ToProto(sweep, response->mutable_sweep());
                   }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ResumeSweep(Context* context,
                                                        const v1::ResumeSweepRequest* request,
                                                        v1::ResumeSweepResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> name = SweepNameFromProto(request->name());
  if (!name.ok()) return Refuse(reactor, name.status());
  core_->SetPaused(NamedCallerOf(context, facts_->tokens), *std::move(name), false,
                   Answer<core::SweepSummary>(reactor, [response](const core::SweepSummary& sweep) {
                     ToProto(sweep, response->mutable_sweep());
                   }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ListWorkers(Context* context,
                                                        const v1::ListWorkersRequest* request,
                                                        v1::ListWorkersResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> after = WorkerTokenFromProto(request->page_token());
  if (!after.ok()) return Refuse(reactor, after.status());
  core_->ListWorkers(CallerOf(context),
                     Answer<std::vector<core::Worker>>(
                         reactor, [response, facts = facts_, after = *std::move(after),
                                   all = request->all()](const std::vector<core::Worker>& workers) {
                           ToProto(workers, after, all, response);
                           if (after.empty()) WarningsToProto(*facts, response);
                         }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::DrainWorker(Context* context,
                                                        const v1::DrainWorkerRequest* request,
                                                        v1::DrainWorkerResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> worker = WorkerNameFromProto(request->worker());
  if (!worker.ok()) return Refuse(reactor, worker.status());
  core_->DrainWorker(NamedCallerOf(context, facts_->tokens), *std::move(worker), request->preempt(),
                     request->undo(),
                     Answer<core::Worker>(reactor, [response](const core::Worker& drained) {
                       ToProto(drained, response->mutable_worker());
                     }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::ForgetWorker(Context* context,
                                                         const v1::ForgetWorkerRequest* request,
                                                         v1::ForgetWorkerResponse* response) {
  Unary* reactor = context->DefaultReactor();
  absl::StatusOr<std::string> worker = WorkerNameFromProto(request->worker());
  if (!worker.ok()) return Refuse(reactor, worker.status());
  core_->ForgetWorker(NamedCallerOf(context, facts_->tokens), *std::move(worker),
                      Answer<std::string>(reactor, [response](const std::string& name) {
                        response->set_name(name);
                      }));
  return reactor;
}

grpc::ServerUnaryReactor* SweepServiceImpl::GetServerInfo(Context* context,
                                                          const v1::GetServerInfoRequest*,
                                                          v1::GetServerInfoResponse* response) {
  const core::ServerInfo info = core_->server_info();
  ToProto(*facts_, response);
  response->set_protocol(rpc::kProtocolVersion);
  response->set_store_id(info.store_id);
  response->set_started_ms(info.started_ms);
  response->set_checkpoint_root(info.checkpoint_root);
  Unary* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<v1::WatchSweepResponse>* SweepServiceImpl::WatchSweep(
    Context*, const v1::WatchSweepRequest* request) {
  absl::StatusOr<std::string> name = SweepNameFromProto(request->name());
  if (!name.ok()) return RefuseStream<v1::WatchSweepResponse>(name.status());
  return Launch<WatchStream>(live_, core_, *std::move(name));
}

grpc::ServerWriteReactor<v1::GetMetricsResponse>* SweepServiceImpl::GetMetrics(
    Context* context, const v1::GetMetricsRequest* request) {
  absl::StatusOr<core::MetricsQuery> query = MetricsQueryFromProto(*request);
  if (!query.ok()) return RefuseStream<v1::GetMetricsResponse>(query.status());
  return Launch<MetricsQueryStream>(live_, core_, context->peer(), *std::move(query));
}

grpc::ServerWriteReactor<v1::GetLogsResponse>* SweepServiceImpl::GetLogs(
    Context* context, const v1::GetLogsRequest* request) {
  const absl::StatusOr<core::JobId> id = JobIdFromProto(request->job_id());
  if (!id.ok()) return RefuseStream<v1::GetLogsResponse>(id.status());
  return Launch<LogStream>(live_, core_, context->peer(), *request);
}

grpc::ServerWriteReactor<v1::FetchCheckpointResponse>* SweepServiceImpl::FetchCheckpoint(
    Context*, const v1::FetchCheckpointRequest* request) {
  const absl::StatusOr<core::JobId> id = JobIdFromProto(request->job_id());
  if (!id.ok()) return RefuseStream<v1::FetchCheckpointResponse>(id.status());
  return Launch<FetchStream>(
      live_, context_, *id,
      request->has_step() ? std::make_optional(request->step()) : std::nullopt);
}

}  // namespace coppice::service
