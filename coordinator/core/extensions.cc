#include "coordinator/core/extensions.h"

#include <utility>

#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/sizes.h"
#include "coordinator/core/views.h"

namespace coppice::core {

void Extensions::Extend(Caller caller, ExtendRequest request, Done<ExtendResult> done) {
  if (const absl::Status status = CheckSpec(request.spec); !status.ok()) return done(status);
  auto run = std::make_shared<Run>();
  run->caller = std::move(caller);
  run->bytes = BytesOf(request.spec);
  run->request = std::move(request);
  run->done = std::move(done);
  if (run->request.dry_run) {
    return Plan(run, [run](absl::StatusOr<Planned> planned) {
      if (!planned.ok()) return run->done(planned.status());
      run->done(ExtendResult{std::move(planned->sweep), std::move(planned->plan.extension), false});
    });
  }
  run->caller.gone = nullptr;  // the caller may be gone before the last part
  const bool taken = turns_.Take(run->request.spec.name, [this, run] {
    Plan(run, [this, run](absl::StatusOr<Planned> planned) { OnPlanned(run, std::move(planned)); });
  });
  if (!taken) {
    run->done(absl::ResourceExhaustedError(
        "too many changes of the sweep of this name are waiting: try again later"));
  }
}

void Extensions::Plan(const std::shared_ptr<Run>& run, Done<Planned> then) {
  engine_.Read<Planned>(
      run->caller,
      [this, run](ReadTransaction& read) -> absl::StatusOr<Planned> {
        Planned planned;
        COPPICE_ASSIGN_OR_RETURN(planned.plan, PlanExtension(read, run->request));
        COPPICE_ASSIGN_OR_RETURN(planned.sweep,
                                 ReadSummary(read, planned.plan.sweep.id, engine_.memory().leases));
        return planned;
      },
      std::move(then));
}

void Extensions::OnPlanned(const std::shared_ptr<Run>& run, absl::StatusOr<Planned> planned) {
  if (!planned.ok()) return End(run, planned.status());
  ExtensionPlan& plan = planned->plan;
  if (!plan.extension.refused.empty())
    return End(run, RefusedExtension(plan.sweep.name, plan.extension));
  run->sweep = plan.sweep.id;
  if (!plan.changes()) {
    if (plan.continuing) return Continue(run, 0);
    return End(run, ExtendResult{std::move(planned->sweep), std::move(plan.extension), false});
  }
  auto shared = std::make_shared<ExtensionPlan>(std::move(plan));
  engine_.WritePart<ExtendStep>(
      [run, shared](CommandContext& tx) {
        return BeginExtend(tx, run->caller, run->request.spec.spec_blob, std::move(*shared));
      },
      [this, run](absl::StatusOr<ExtendStep> step) {
        if (step.ok()) {
          run->extension = std::move(step->extension);
          run->changed = true;
        }
        OnStep(run, std::move(step));
      },
      run->bytes, /*goes_on=*/false);
}

void Extensions::OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<ExtendStep> step) {
  if (!step.ok()) {
    if (run->changed) {
      spdlog::warn("the extension of the sweep {} is stored, and the next start continues it: {}",
                   run->request.spec.name, step.status().ToString());
    }
    return End(run, step.status());
  }
  if (step->next_after != 0) return Continue(run, step->next_after);
  End(run, ExtendResult{*std::move(step->sweep), std::move(run->extension), run->changed});
}

void Extensions::Continue(const std::shared_ptr<Run>& run, JobId after) {
  engine_.WritePart<ExtendStep>(
      [id = run->sweep, after](CommandContext& tx) { return ContinueExtend(tx, id, after); },
      [this, run](absl::StatusOr<ExtendStep> step) { OnStep(run, std::move(step)); }, run->bytes,
      /*goes_on=*/true);
}

void Extensions::End(const std::shared_ptr<Run>& run, absl::StatusOr<ExtendResult> result) {
  run->done(std::move(result));
  turns_.Next(run->request.spec.name);
}

void Extensions::ContinueLeftovers() {
  for (const SweepRow& sweep : engine_.memory().continuing) {
    auto run = std::make_shared<Run>();
    run->sweep = sweep.id;
    run->request.spec.name = sweep.name;
    run->done = [name = sweep.name](const absl::StatusOr<ExtendResult>& result) {
      if (!result.ok()) spdlog::warn("the extension of {}: {}", name, result.status().ToString());
    };
    turns_.Take(sweep.name, [this, run] { Continue(run, 0); });
  }
}

}  // namespace coppice::core
