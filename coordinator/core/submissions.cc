#include "coordinator/core/submissions.h"

#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/sizes.h"

namespace coppice::core {

void Submissions::Submit(Caller caller, SweepSpec spec, uint32_t pack_width,
                         Done<SubmitResult> done) {
  // Checked here and not on the writer: comparing a million seeds takes a while.
  if (const absl::Status status = CheckSpec(spec); !status.ok()) return done(status);
  auto run = std::make_shared<Run>();
  run->bytes = BytesOf(spec);
  run->submission.caller = std::move(caller);
  run->submission.caller.gone = nullptr;  // the caller may be gone before the last part
  run->submission.plan = MakePlan(spec, pack_width);
  run->submission.spec = std::make_shared<const SweepSpec>(std::move(spec));
  run->done = std::move(done);
  if (!turns_.Take(run->submission.spec->name, [this, run] { Begin(run); })) {
    run->done(absl::ResourceExhaustedError(
        "too many changes of the sweep of this name are waiting: try again later"));
  }
}

void Submissions::Begin(const std::shared_ptr<Run>& run) {
  const auto begin = [run](CommandContext& tx) { return BeginSubmit(tx, run->submission); };
  const auto then = [this, run](absl::StatusOr<SubmitStep> step) { OnStep(run, std::move(step)); };
  if (run->submission.small()) {
    engine_.Write<SubmitStep>(begin, then, run->bytes);
  } else {
    engine_.WritePart<SubmitStep>(begin, then, run->bytes, /*goes_on=*/false);
  }
}

void Submissions::Continue(const std::shared_ptr<Run>& run) {
  engine_.WritePart<SubmitStep>(
      [run](CommandContext& tx) { return ContinueSubmit(tx, run->submission, run->inserted); },
      [this, run](absl::StatusOr<SubmitStep> step) { OnStep(run, std::move(step)); }, run->bytes,
      /*goes_on=*/true);
}

void Submissions::OnStep(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitStep> step) {
  if (!step.ok()) {
    const SweepId begun = run->submission.sweep.id;
    if (begun == 0) return End(run, step.status());
    return TakeBack(begun, [this, run, status = step.status()](const absl::Status& taken_back) {
      if (!taken_back.ok()) {
        spdlog::warn("what was stored of the sweep {} is taken back at the next start: {}",
                     run->submission.spec->name, taken_back.ToString());
      }
      End(run, status);
    });
  }
  if (step->result.has_value()) return End(run, *std::move(step->result));
  if (step->leftover != 0) {
    return TakeBack(step->leftover, [this, run](const absl::Status& taken_back) {
      if (!taken_back.ok()) return End(run, taken_back);
      Begin(run);
    });
  }
  if (step->begun.has_value()) run->submission = *std::move(step->begun);
  run->inserted = step->inserted;
  Continue(run);
}

void Submissions::End(const std::shared_ptr<Run>& run, absl::StatusOr<SubmitResult> result) {
  run->done(std::move(result));
  turns_.Next(run->submission.spec->name);
}

void Submissions::TakeBack(SweepId id, std::function<void(absl::Status)> then) {
  engine_.WritePart<bool>([id](CommandContext& tx) { return TakeBackSubmit(tx, id); },
                          [this, id, then = std::move(then)](absl::StatusOr<bool> gone) {
                            if (!gone.ok()) return then(gone.status());
                            if (*gone) return then(absl::OkStatus());
                            TakeBack(id, then);
                          },
                          /*bytes=*/0, /*goes_on=*/true);
}

void Submissions::TakeBackLeftovers() {
  for (const SweepRow& sweep : engine_.memory().cut_short) {
    turns_.Take(sweep.name, [this, &sweep] {
      spdlog::info("the submission of the sweep {} was cut short: taking it back", sweep.name);
      TakeBack(sweep.id, [this, &sweep](const absl::Status&) { turns_.Next(sweep.name); });
    });
  }
}

}  // namespace coppice::core
