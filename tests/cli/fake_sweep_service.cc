#include "tests/cli/fake_sweep_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/where.h"
#include "common/spec/plan.h"
#include "common/spec/spec.h"

namespace coppice::cli {
namespace {

constexpr v1::JobState kStates[] = {v1::SUCCEEDED, v1::FAILED,    v1::RUNNING, v1::PENDING,
                                    v1::CANCELLED, v1::SUCCEEDED, v1::RUNNING, v1::PENDING};

template <typename List, typename T>
bool Matches(const List& list, const T& value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

bool Selects(const v1::JobFilter& filter, const v1::Job& job) {
  return (filter.sweep().empty() || filter.sweep() == job.sweep()) &&
         Matches(filter.job_ids(), job.id()) && Matches(filter.tasks(), job.task()) &&
         Matches(filter.depths(), job.depth()) && Matches(filter.seeds(), job.seed()) &&
         MeetsWhere(job.point(), filter) && Matches(filter.states(), static_cast<int>(job.state()));
}

void AddValue(v1::MetricRow* row, const char* name, double value) {
  v1::MetricValue* added = row->add_values();
  added->set_name(name);
  added->set_value(value);
}

void AppendToTexts(const std::string& taint, google::protobuf::Message* message) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->name() == "next_page_token") continue;
    const int size = field->is_repeated() ? reflection.FieldSize(*message, field) : 1;
    for (int i = 0; i < size; ++i) {
      const bool repeated = field->is_repeated();
      if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
        AppendToTexts(taint, repeated ? reflection.MutableRepeatedMessage(message, field, i)
                                      : reflection.MutableMessage(message, field));
      } else if (field->type() == FieldDescriptor::TYPE_STRING && repeated) {
        reflection.SetRepeatedString(message, field, i,
                                     reflection.GetRepeatedString(*message, field, i) + taint);
      } else if (field->type() == FieldDescriptor::TYPE_STRING) {
        reflection.SetString(message, field, reflection.GetString(*message, field) + taint);
      }
    }
  }
}

}  // namespace

FakeSweepService::FakeSweepService() {
  spec.set_name("demo");
  for (const char* task : {"question", "dyck"}) spec.add_tasks(task);
  for (const uint32_t n : {1u, 2u}) spec.add_depths(n);
  for (const uint32_t n : {0u, 1u}) spec.add_seeds(n);
  spec.mutable_train()->set_steps(300);
  v1::SweepSummary summary;
  summary.set_name("demo");
  summary.set_id(1);
  summary.set_jobs(8);
  summary.set_steps_total(2400);
  summary.set_steps_done(1500);
  summary.set_seed_steps_per_second(12.5);
  summary.set_eta_seconds(125);
  summary.set_workers(1);
  summary.set_created_ms(1'700'000'000'000);
  uint64_t id = 0;
  for (const std::string& task : spec.tasks()) {
    for (const uint32_t depth : spec.depths()) {
      v1::GroupSummary group;
      group.set_task(task);
      group.set_depth(depth);
      group.set_steps(300);
      *group.mutable_run() = spec::ResolveRun(spec, task, depth);
      group.set_work_per_step(spec::WorkPerStep(group.run()));
      groups.push_back(group);
      for (const uint32_t seed : spec.seeds()) {
        v1::Job job;
        job.set_id(++id);
        job.set_sweep("demo");
        job.set_task(task);
        job.set_depth(depth);
        job.set_seed(seed);
        job.set_steps(300);
        job.set_state(kStates[id - 1]);
        job.set_attempt(1);
        job.set_attempts(kStates[id - 1] == v1::PENDING ? 0 : 1);
        if (job.state() == v1::SUCCEEDED) {
          job.set_step(300);
          for (const auto& [name, value] :
               {std::pair("id_accuracy", 0.984), {"gen_accuracy", 0.31}}) {
            v1::MetricValue* latest = job.add_latest();
            latest->set_name(name);
            latest->set_value(value);
          }
          for (const uint32_t step : {150u, 300u}) {
            v1::JobMetrics row;
            row.set_job_id(id);
            row.set_task(task);
            row.set_depth(depth);
            row.set_seed(seed);
            row.set_attempt(1);
            row.mutable_row()->set_step(step);
            AddValue(row.mutable_row(), "val_loss", 1.0 / step);
            if (step == 300) AddValue(row.mutable_row(), "gen_accuracy", 0.31);
            metrics.push_back(row);
          }
        }
        if (job.state() == v1::FAILED) {
          job.set_step(10);
          job.set_reason("nan: the loss is not finite\nat step 10");
        }
        if (job.state() == v1::RUNNING) {
          job.set_step(120);
          job.set_worker("node");
        }
        jobs.push_back(job);
      }
    }
  }
  v1::JobCounts* counts = summary.mutable_counts();
  counts->set_succeeded(2);
  counts->set_failed(1);
  counts->set_cancelled(1);
  counts->set_running(2);
  counts->set_pending(2);
  sweeps.push_back(summary);
  v1::Worker worker;
  worker.set_name("node");
  worker.set_host("host");
  worker.set_slots(2);
  worker.set_pack_width(1);
  worker.set_connected(true);
  worker.set_draining(true);
  worker.set_device("cpu");
  workers.push_back(worker);
}

void FakeSweepService::Taint(google::protobuf::Message* answer) const {
  if (!taint.empty()) AppendToTexts(taint, answer);
}

const v1::Job* FakeSweepService::FindJob(uint64_t id) const {
  for (const v1::Job& job : jobs) {
    if (job.id() == id) return &job;
  }
  return nullptr;
}

grpc::Status FakeSweepService::SubmitSweep(grpc::ServerContext*,
                                           const v1::SubmitSweepRequest* request,
                                           v1::SubmitSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  submit = *request;
  const bool known = request->spec().name() == spec.name();
  if (known && !spec::SameSweep(request->spec(), spec)) {
    return {grpc::StatusCode::ALREADY_EXISTS, "a sweep of this name exists"};
  }
  *response->mutable_plan() = spec::MakePlan(request->spec(), request->pack_width());
  if (request->dry_run()) return grpc::Status::OK;
  stored = true;
  response->set_created(!known);
  *response->mutable_sweep() = sweeps[0];
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::ExtendSweep(grpc::ServerContext*,
                                           const v1::ExtendSweepRequest* request,
                                           v1::ExtendSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  extend = *request;
  if (request->spec().name() != spec.name())
    return {grpc::StatusCode::NOT_FOUND, "there is no such sweep"};
  if (!request->dry_run() && !extension.refused().empty())
    return {grpc::StatusCode::FAILED_PRECONDITION, "jobs have begun"};
  *response->mutable_extension() = extension;
  *response->mutable_plan() = spec::MakePlan(request->spec(), request->pack_width());
  *response->mutable_sweep() = sweeps[0];
  response->set_changed(!request->dry_run() && extension.ByteSizeLong() > 0);
  extended |= response->changed();
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::GetSweep(grpc::ServerContext*, const v1::GetSweepRequest* request,
                                        v1::GetSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  if (busy > 0) {
    --busy;
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the coordinator is overloaded"};
  }
  for (const v1::SweepSummary& sweep : sweeps) {
    if (sweep.name() != request->name()) continue;
    *response->mutable_sweep() = sweep;
    *response->mutable_spec() = spec;
    response->mutable_spec()->set_name(sweep.name());
    for (const v1::GroupSummary& group : groups) *response->add_groups() = group;
    Taint(response);
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND, absl::StrCat("there is no sweep '", request->name(), "'")};
}

grpc::Status FakeSweepService::ListSweeps(grpc::ServerContext*,
                                          const v1::ListSweepsRequest* request,
                                          v1::ListSweepsResponse* response) {
  absl::MutexLock lock(&mutex);
  list_sweeps = *request;
  for (const v1::SweepSummary& sweep : sweeps) *response->add_sweeps() = sweep;
  Taint(response);
  return grpc::Status::OK;
}

// Pages have three jobs, whatever the request, so that paging is tested.
grpc::Status FakeSweepService::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                                        v1::ListJobsResponse* response) {
  absl::MutexLock lock(&mutex);
  ++list_jobs_calls;
  uint64_t after = 0;
  if (!request->page_token().empty() && !absl::SimpleAtoi(request->page_token(), &after)) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "bad token"};
  }
  for (const v1::Job& job : jobs) {
    if (job.id() <= after || !Selects(request->filter(), job)) continue;
    if (response->jobs_size() == 3) {
      response->set_next_page_token(absl::StrCat(response->jobs(2).id()));
      break;
    }
    *response->add_jobs() = job;
    if (!request->with_latest()) response->mutable_jobs(response->jobs_size() - 1)->clear_latest();
  }
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                      v1::GetJobResponse* response) {
  absl::MutexLock lock(&mutex);
  const v1::Job* job = FindJob(request->job_id());
  if (job == nullptr)
    return {grpc::StatusCode::NOT_FOUND, absl::StrCat("there is no job ", request->job_id())};
  *response->mutable_job() = *job;
  *response->mutable_run() = spec::ResolveRun(spec, job->task(), job->depth());
  v1::Attempt* attempt = response->add_attempts();
  attempt->set_number(1);
  attempt->set_worker("node");
  attempt->set_outcome("failed");
  attempt->set_message("first line\nsecond line");
  attempt->set_provenance(provenance);
  for (int i = 0; i < 30; ++i) {
    v1::JobEvent* event = response->add_events();
    event->set_type(absl::StrCat("event-", i));
    event->set_message("hello");
  }
  v1::Checkpoint* checkpoint = response->add_checkpoints();
  checkpoint->set_step(150);
  checkpoint->set_bytes(4096);
  checkpoint->set_path("1/1/step-000000150.safetensors");
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::ExplainJob(grpc::ServerContext*,
                                          const v1::ExplainJobRequest* request,
                                          v1::ExplainJobResponse* response) {
  absl::MutexLock lock(&mutex);
  const v1::Job* job = FindJob(request->job_id());
  if (job == nullptr) return {grpc::StatusCode::NOT_FOUND, "no such job"};
  *response->mutable_job() = *job;
  response->add_reasons("every slot is taken");
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::WatchSweep(grpc::ServerContext* context,
                                          const v1::WatchSweepRequest* request,
                                          grpc::ServerWriter<v1::WatchSweepResponse>* writer) {
  std::vector<v1::WatchSweepResponse> told;
  grpc::Status status;
  {
    absl::MutexLock lock(&mutex);
    ++watch_calls;
    if (std::none_of(sweeps.begin(), sweeps.end(), [&](const v1::SweepSummary& sweep) {
          return sweep.name() == request->name();
        })) {
      return {grpc::StatusCode::NOT_FOUND, "no such sweep"};
    }
    told = updates;
    for (v1::WatchSweepResponse& update : told) Taint(&update);
    status = watch_status;
    if (watch_breaks > 0) {
      --watch_breaks;
      told.resize(std::min<size_t>(1, told.size()));
      status = {grpc::StatusCode::UNAVAILABLE, "shutting down"};
    }
  }
  for (const v1::WatchSweepResponse& update : told) writer->Write(update);
  absl::MutexLock lock(&mutex);
  const auto closed = [&] {
    mutex.AssertHeld();
    return !watch_open || context->IsCancelled();
  };
  // Wakes up regularly to notice a client that is gone.
  while (!mutex.AwaitWithTimeout(absl::Condition(&closed), absl::Milliseconds(100))) continue;
  return status;
}

grpc::Status FakeSweepService::GetMetrics(grpc::ServerContext*,
                                          const v1::GetMetricsRequest* request,
                                          grpc::ServerWriter<v1::GetMetricsResponse>* writer) {
  absl::MutexLock lock(&mutex);
  get_metrics = *request;
  for (const v1::JobMetrics& row : metrics) {
    v1::GetMetricsResponse response;
    *response.add_rows() = row;
    Taint(&response);
    writer->Write(response);
  }
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::GetLogs(grpc::ServerContext*, const v1::GetLogsRequest* request,
                                       grpc::ServerWriter<v1::GetLogsResponse>* writer) {
  absl::MutexLock lock(&mutex);
  get_logs = *request;
  if (log.empty()) return grpc::Status::OK;
  for (const std::string& text : {log, std::string("second\n")}) {
    v1::GetLogsResponse response;
    response.set_attempt(1);
    response.set_text(text);
    Taint(&response);
    writer->Write(response);
  }
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::FetchCheckpoint(
    grpc::ServerContext*, const v1::FetchCheckpointRequest* request,
    grpc::ServerWriter<v1::FetchCheckpointResponse>* writer) {
  absl::MutexLock lock(&mutex);
  fetch = *request;
  for (const v1::FetchCheckpointResponse& part : fetch_parts) writer->Write(part);
  return fetch_status;
}

grpc::Status FakeSweepService::CancelJobs(grpc::ServerContext*,
                                          const v1::CancelJobsRequest* request,
                                          v1::CancelJobsResponse* response) {
  absl::MutexLock lock(&mutex);
  cancel = *request;
  response->set_cancelled(3);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::PauseSweep(grpc::ServerContext*,
                                          const v1::PauseSweepRequest* request,
                                          v1::PauseSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  paused = request->name();
  *response->mutable_sweep() = sweeps[0];
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::ResumeSweep(grpc::ServerContext*,
                                           const v1::ResumeSweepRequest* request,
                                           v1::ResumeSweepResponse* response) {
  absl::MutexLock lock(&mutex);
  resumed = request->name();
  *response->mutable_sweep() = sweeps[0];
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::RetryJobs(grpc::ServerContext*, const v1::RetryJobsRequest* request,
                                         v1::RetryJobsResponse* response) {
  absl::MutexLock lock(&mutex);
  retry = *request;
  response->set_retried(retryable);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::ListWorkers(grpc::ServerContext*,
                                           const v1::ListWorkersRequest* request,
                                           v1::ListWorkersResponse* response) {
  absl::MutexLock lock(&mutex);
  for (const v1::Worker& worker : workers) {
    if (request->all() || worker.departed_ms() == 0) *response->add_workers() = worker;
  }
  for (const v1::ServerCertificate& each : certificates) response->add_warnings(each.warning());
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::ForgetWorker(grpc::ServerContext*,
                                            const v1::ForgetWorkerRequest* request,
                                            v1::ForgetWorkerResponse* response) {
  absl::MutexLock lock(&mutex);
  for (const v1::Worker& worker : workers) {
    if (worker.name() != request->worker()) continue;
    if (worker.connected())
      return {grpc::StatusCode::FAILED_PRECONDITION, "it is connected; end it first"};
    response->set_name(worker.name());
    Taint(response);
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such worker"};
}

grpc::Status FakeSweepService::DrainWorker(grpc::ServerContext*,
                                           const v1::DrainWorkerRequest* request,
                                           v1::DrainWorkerResponse* response) {
  absl::MutexLock lock(&mutex);
  drain = *request;
  if (request->worker() != workers[0].name())
    return {grpc::StatusCode::NOT_FOUND, "there is no such worker"};
  *response->mutable_worker() = workers[0];
  Taint(response);
  return grpc::Status::OK;
}

grpc::Status FakeSweepService::GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                                             v1::GetServerInfoResponse* response) {
  absl::MutexLock lock(&mutex);
  response->set_protocol(protocol);
  response->set_version("9.9.9");
  response->set_commit("0123456789ab");
  response->set_address("0.0.0.0:7070");
  for (const v1::ServerCertificate& each : certificates) *response->add_certificates() = each;
  Taint(response);
  return grpc::Status::OK;
}

}  // namespace coppice::cli
