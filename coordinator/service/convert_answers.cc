// Conversion of responses.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/status_macros.h"
#include "common/spec/spec.h"
#include "coordinator/service/convert.h"

namespace coppice::service {
namespace {

void FillWithoutRun(const core::GroupSummary& group, v1::GroupSummary* out) {
  out->set_task(group.spec.task);
  out->set_depth(group.spec.depth);
  ToProto(group.spec.point, out->mutable_point());
  out->set_steps(group.spec.steps);
  ToProto(group.counts, out->mutable_counts());
  out->set_steps_done(group.steps_done);
  out->set_work_per_step(group.spec.work_per_step);
}

absl::Status RunToProto(const std::string& run_json, v1::RunConfig* out) {
  absl::StatusOr<v1::RunConfig> run = spec::RunConfigFromJson(run_json);
  if (!run.ok()) {
    return absl::InternalError(
        absl::StrCat("the stored run configuration cannot be read: ", run.status().message()));
  }
  *out = *std::move(run);
  return absl::OkStatus();
}

void ToProto(const core::Attempt& attempt, v1::Attempt* out) {
  out->set_number(attempt.number);
  out->set_worker(attempt.worker);
  out->set_granted_ms(attempt.granted_ms);
  out->set_ended_ms(attempt.ended_ms);
  out->set_outcome(std::string(core::OutcomeText(attempt.outcome)));
  out->set_message(attempt.message);
  out->set_start_step(attempt.start_step);
  out->set_end_step(attempt.end_step);
  out->set_provenance(attempt.provenance);
}

void ToProto(const core::JobEvent& event, v1::JobEvent* out) {
  out->set_time_ms(event.time_ms);
  out->set_attempt(event.attempt);
  out->set_type(std::string(core::EventTypeText(event.type)));
  out->set_message(event.message);
}

// The index of the first of the newest elements that together fit into `budget` bytes. `all` has
// the oldest first.
template <typename T, typename Size>
size_t NewestThatFit(const std::vector<T>& all, size_t budget, Size size) {
  size_t first = all.size();
  size_t used = 0;
  while (first > 0) {
    used += size(all[first - 1]);
    if (used > budget) break;
    --first;
  }
  return first;
}

}  // namespace

void ToProto(const core::Point& point, google::protobuf::RepeatedPtrField<v1::Coordinate>* out) {
  for (const core::Coordinate& coordinate : point) {
    v1::Coordinate* added = out->Add();
    added->set_axis(coordinate.axis);
    added->set_value(coordinate.value);
  }
}

void ToProto(const core::JobCounts& counts, v1::JobCounts* out) {
  out->set_pending(counts.pending);
  out->set_running(counts.running);
  out->set_succeeded(counts.succeeded);
  out->set_failed(counts.failed);
  out->set_cancelled(counts.cancelled);
}

absl::Status ToProto(const core::GroupSummary& group, v1::GroupSummary* out) {
  FillWithoutRun(group, out);
  return RunToProto(group.spec.run_json, out->mutable_run());
}

void ToProto(const core::SweepSummary& summary, v1::SweepSummary* out) {
  out->set_name(summary.name);
  out->set_id(summary.id);
  out->set_paused(summary.paused);
  out->set_priority(summary.priority);
  out->set_created_ms(summary.created_ms);
  out->set_finished_ms(summary.finished_ms);
  ToProto(summary.counts, out->mutable_counts());
  out->set_jobs(summary.counts.total());
  out->set_steps_done(summary.steps_done);
  out->set_steps_total(summary.steps_total);
  out->set_seed_steps_per_second(summary.seed_steps_per_second);
  out->set_eta_seconds(summary.eta_seconds);
  out->set_workers(summary.workers);
  out->set_silent_jobs(summary.silent_jobs);
  out->set_silent_seconds(summary.silent_seconds);
  out->mutable_tags()->Assign(summary.tags.begin(), summary.tags.end());
  out->set_note(summary.note);
}

absl::Status ToProto(const core::Plan& plan, v1::Plan* out) {
  for (const core::GroupSummary& group : plan.groups) {
    COPPICE_RETURN_IF_ERROR(ToProto(group, out->add_groups()));
  }
  out->set_jobs(plan.jobs);
  out->set_packs(plan.packs);
  out->set_pack_width(plan.pack_width);
  out->set_expected_work(plan.expected_work);
  out->set_steps_total(plan.steps_total);
  return absl::OkStatus();
}

absl::Status ToProto(const core::SubmitResult& result, v1::SubmitSweepResponse* out) {
  ToProto(result.sweep, out->mutable_sweep());
  out->set_created(result.created);
  return ToProto(result.plan, out->mutable_plan());
}

void ToProto(const core::ExtendResult& result, v1::ExtendSweepResponse* out) {
  ToProto(result.sweep, out->mutable_sweep());
  out->set_changed(result.changed);
  const core::Extension& extension = result.extension;
  v1::SweepExtension* const to = out->mutable_extension();
  to->set_new_points(extension.new_points);
  to->set_new_jobs(extension.new_jobs);
  to->set_continued_jobs(extension.continued_jobs);
  to->set_longer_jobs(extension.longer_jobs);
  to->set_repeating_jobs(extension.repeating_jobs);
  to->set_repeated_steps(extension.repeated_steps);
  to->set_changed_jobs(extension.changed_jobs);
  to->set_added_steps(extension.added_steps);
  for (const std::string& line : extension.settings) to->add_settings(line);
  for (const std::string& line : extension.refused) to->add_refused(line);
}

absl::Status ToProto(const core::SweepDetails& details, bool without_runs,
                     v1::GetSweepResponse* out) {
  ToProto(details.summary, out->mutable_sweep());
  if (!out->mutable_spec()->ParseFromString(details.spec_blob)) {
    return absl::InternalError(
        absl::StrCat("the stored spec of sweep '", details.summary.name, "' cannot be read"));
  }
  *out->mutable_spec()->mutable_tags() = out->sweep().tags();
  for (const core::GroupSummary& group : details.groups) {
    if (without_runs) {
      FillWithoutRun(group, out->add_groups());
    } else {
      COPPICE_RETURN_IF_ERROR(ToProto(group, out->add_groups()));
    }
  }
  for (const core::Operation& operation : details.operations) {
    v1::Operation* const to = out->add_operations();
    to->set_time_ms(operation.time_ms);
    to->set_action(operation.action);
    to->set_who(operation.who);
    to->set_detail(operation.detail);
  }
  return absl::OkStatus();
}

void ToProto(const core::DeletedSweep& deleted, v1::DeleteSweepResponse* out) {
  ToProto(deleted.sweep, out->mutable_sweep());
  out->set_checkpoints(deleted.checkpoints);
  out->set_checkpoint_bytes(deleted.checkpoint_bytes);
}

void ToProto(const core::Job& job, v1::Job* out) {
  out->set_id(job.id);
  out->set_sweep(job.sweep);
  out->set_task(job.task);
  out->set_depth(job.depth);
  ToProto(job.point, out->mutable_point());
  out->set_seed(job.seed);
  out->set_state(static_cast<v1::JobState>(job.state));
  out->set_step(job.step);
  out->set_steps(job.steps);
  out->set_attempt(job.attempt);
  out->set_attempts(job.attempts);
  out->set_failures(job.failures);
  out->set_worker(job.worker);
  out->set_reason(job.reason);
  out->set_created_ms(job.created_ms);
  out->set_started_ms(job.started_ms);
  out->set_finished_ms(job.finished_ms);
  out->set_checkpoint_step(job.checkpoint_step);
  out->set_paused(job.sweep_paused);
  out->set_silent_seconds(job.silent_seconds);
  for (const core::MetricValue& value : job.latest) {
    v1::MetricValue* latest = out->add_latest();
    latest->set_name(value.name);
    latest->set_value(value.value);
  }
}

void ToProto(const core::JobPage& page, v1::ListJobsResponse* out) {
  size_t bytes = 0;
  for (const core::Job& job : page.jobs) {
    v1::Job* added = out->add_jobs();
    ToProto(job, added);
    bytes += added->ByteSizeLong();
    if (bytes >= kAnswerBytes && &job != &page.jobs.back()) {
      out->set_next_page_token(absl::StrCat(job.id));
      return;
    }
  }
  if (page.next_after != 0) out->set_next_page_token(absl::StrCat(page.next_after));
}

void ToProto(const std::vector<core::SweepSummary>& sweeps, const std::vector<std::string>& tags,
             core::SweepId after, v1::ListSweepsResponse* out) {
  size_t bytes = 0;
  for (const core::SweepSummary& sweep : sweeps) {
    if (sweep.id <= after) continue;
    if (!std::includes(sweep.tags.begin(), sweep.tags.end(), tags.begin(), tags.end())) continue;
    if (bytes >= kAnswerBytes) {
      out->set_next_page_token(absl::StrCat(out->sweeps().rbegin()->id()));
      return;
    }
    v1::SweepSummary* added = out->add_sweeps();
    ToProto(sweep, added);
    bytes += added->ByteSizeLong();
  }
}

void ToProto(const std::vector<core::Worker>& workers, const std::string& after, bool all,
             v1::ListWorkersResponse* out) {
  size_t bytes = 0;
  for (const core::Worker& worker : workers) {
    if (worker.info.name <= after || (!all && worker.departed_ms != 0)) continue;
    if (bytes >= kAnswerBytes) {
      out->set_next_page_token(out->workers().rbegin()->name());
      return;
    }
    v1::Worker* added = out->add_workers();
    ToProto(worker, added);
    bytes += added->ByteSizeLong();
  }
}

absl::Status ToProto(const core::JobDetails& details, v1::GetJobResponse* out) {
  ToProto(details.job, out->mutable_job());
  COPPICE_RETURN_IF_ERROR(RunToProto(details.run_json, out->mutable_run()));
  constexpr size_t kBudget = kAnswerBytes / 3;
  for (size_t i = NewestThatFit(
           details.attempts, kBudget,
           [](const core::Attempt& a) { return 100 + a.message.size() + a.provenance.size(); });
       i < details.attempts.size(); ++i) {
    ToProto(details.attempts[i], out->add_attempts());
  }
  for (size_t i = NewestThatFit(details.events, kBudget,
                                [](const core::JobEvent& e) { return 70 + e.message.size(); });
       i < details.events.size(); ++i) {
    ToProto(details.events[i], out->add_events());
  }
  size_t bytes = 0;  // newest first
  for (const core::Checkpoint& checkpoint : details.checkpoints) {
    if ((bytes += 100 + checkpoint.path.size()) > kBudget) break;
    ToProto(checkpoint, out->add_checkpoints());
  }
  return absl::OkStatus();
}

void ToProto(const core::Explanation& explanation, v1::ExplainJobResponse* out) {
  ToProto(explanation.job, out->mutable_job());
  for (const std::string& reason : explanation.reasons) out->add_reasons(reason);
}

void ToProto(const core::JobMetrics& metrics, v1::JobMetrics* out) {
  out->set_job_id(metrics.job_id);
  out->set_task(metrics.task);
  out->set_depth(metrics.depth);
  ToProto(metrics.point, out->mutable_point());
  out->set_seed(metrics.seed);
  out->set_attempt(metrics.attempt);
  out->set_archived(metrics.archived);
  out->mutable_row()->set_step(metrics.row.step);
  for (const core::MetricValue& value : metrics.row.values) {
    v1::MetricValue* added = out->mutable_row()->add_values();
    added->set_name(value.name);
    added->set_value(value.value);
  }
}

void ToProto(const core::Checkpoint& checkpoint, v1::Checkpoint* out) {
  out->set_job_id(checkpoint.job_id);
  out->set_attempt(checkpoint.attempt);
  out->set_step(checkpoint.step);
  out->set_path(checkpoint.path);
  out->set_digest(checkpoint.digest);
  out->set_bytes(checkpoint.bytes);
  out->set_committed_ms(checkpoint.committed_ms);
}

void ToProto(const core::Registration& registration, v1::RegisterResponse* out) {
  out->set_worker_id(registration.worker_id);
  out->set_heartbeat_interval_ms(registration.heartbeat_interval_ms);
  out->set_lease_ms(registration.lease_ms);
  out->set_store_id(registration.store_id);
  out->set_version(VersionText());
  out->set_incarnation(registration.incarnation);
  out->set_confirm(registration.confirm);
  if (!registration.superseded_by.has_value()) return;
  out->mutable_superseded_by()->set_host(registration.superseded_by->host);
  out->mutable_superseded_by()->set_since_ms(registration.superseded_by->since_ms);
}

void ToProto(const core::Allocation& allocation, v1::Allocation* out) {
  out->set_system(allocation.system);
  out->set_cluster(allocation.cluster);
  out->set_job_id(allocation.job_id);
  out->set_raw_job_id(allocation.raw_job_id);
  out->set_partition(allocation.partition);
  out->set_node(allocation.node);
  out->set_proc_id(allocation.proc_id);
  out->set_restarts(allocation.restarts);
  out->set_pool_key(allocation.pool_key);
  for (const std::string& gpu : allocation.gpus) out->add_gpus(gpu);
}

void ToProto(const core::Worker& worker, v1::Worker* out) {
  out->set_id(worker.id);
  out->set_name(worker.info.name);
  out->set_host(worker.info.host);
  out->set_version(worker.info.version);
  out->set_slots(worker.info.slots);
  out->set_pack_width(worker.info.pack_width);
  out->set_draining(worker.draining);
  out->set_connected(worker.connected);
  out->set_registered_ms(worker.registered_ms);
  out->set_last_seen_ms(worker.last_seen_ms);
  out->set_running_jobs(worker.running_jobs);
  out->set_device(worker.info.device);
  out->set_shared_checkpoints(worker.info.shared_checkpoints);
  out->set_ends_ms(worker.info.ends_ms);
  out->set_suspect_until_ms(worker.suspect_until_ms);
  out->set_suspect_reason(worker.suspect_reason);
  out->set_superseded_host(worker.superseded_host);
  out->set_superseded_ms(worker.superseded_ms);
  ToProto(worker.info.allocation, out->mutable_allocation());
  out->set_departed_ms(worker.departed_ms);
  out->set_departed_reason(worker.departed_reason);
  out->set_idle_slots(worker.idle_slots);
  out->set_programs(worker.info.programs);
}

void ToProto(const core::LeaseRef& lease, v1::LeaseRef* out) {
  out->set_job_id(lease.job_id);
  out->set_attempt(lease.attempt);
}

void ToProto(const core::LeaseGrant& grant, v1::AcquireLeasesResponse* out) {
  if (grant.leases.empty()) return;
  for (const core::Lease& lease : grant.leases) {
    v1::Lease* added = out->add_leases();
    ToProto(lease.ref, added->mutable_lease());
    added->set_seed(lease.seed);
    if (lease.resume.has_value()) ToProto(*lease.resume, added->mutable_resume());
    added->set_checkpoint_dir(lease.checkpoint_dir);
    added->set_sweep(lease.sweep);
  }
  out->set_unmeasured(grant.unmeasured);
  out->set_run_json(grant.run_json);
}

void ToProto(const core::HeartbeatResult& result, v1::HeartbeatResponse* out) {
  for (const core::Directive& directive : result.directives) {
    v1::Directive* added = out->add_directives();
    ToProto(directive.lease, added->mutable_lease());
    switch (directive.action) {
      case core::DirectiveAction::kContinue:
        added->set_action(v1::Directive::CONTINUE);
        break;
      case core::DirectiveAction::kPreempt:
        added->set_action(v1::Directive::PREEMPT);
        break;
      case core::DirectiveAction::kStop:
        added->set_action(v1::Directive::STOP);
        break;
    }
    added->set_reason(directive.reason);
  }
  out->set_drain(result.drain);
}

}  // namespace coppice::service
