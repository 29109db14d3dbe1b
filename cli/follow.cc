#include "cli/follow.h"

#include <unistd.h>

#include <utility>

#include "cli/sweep_view.h"
#include "cli/watch_view.h"
#include "common/base/printable.h"

namespace coppice::cli {
namespace {

constexpr absl::Duration kRedraw = absl::Milliseconds(100);
// Long enough to read a page.
constexpr absl::Duration kPageTime = absl::Seconds(5);
// A pipe gets a line for each job's change only up to this many jobs, as many as a person could
// read.
constexpr uint64_t kMaxJobsToTell = 2'000;

// Each summary asks for the metrics of at most this many running jobs.
constexpr uint64_t kMaxJobsToRefresh = 1'000;

// Adds to an update what the stream leaves out. A failure here is ignored: the stream reports it.
void Complete(Client* client, const std::string& sweep, SweepNews* news) {
  v1::JobFilter filter;
  if (news->update->has_summary()) {
    const uint64_t running = news->update->summary().counts().running();
    if (running == 0 || running > kMaxJobsToRefresh) return;
    filter.set_sweep(sweep);
    filter.add_states(v1::RUNNING);
  } else {
    const v1::JobState state = news->update->job().state();
    if (!news->update->job().latest().empty() || (state != v1::SUCCEEDED && state != v1::FAILED))
      return;
    filter.add_job_ids(news->update->job().id());
    filter.set_sweep(sweep);
  }
  const absl::Status listed = client->ListJobs(filter, true, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) {
      if (news->update->has_summary()) {
        news->refreshed.push_back(job);
      } else if (job.attempt() == news->update->job().attempt()) {
        *news->update->mutable_job()->mutable_latest() = job.latest();
      }
    }
    return true;
  });
  if (!listed.ok()) news->refreshed.clear();
}

}  // namespace

absl::Status FollowSweep(Client* client, const std::string& sweep, absl::Duration patience,
                         const std::function<bool(SweepNews)>& tell) {
  bool fresh = true;
  bool listable = false;
  absl::Status loading;
  // Jobs are listed only after the stream has begun, so that no change is missed in between.
  const absl::Status watching = client->WatchSweep(
      sweep, patience, [&] { fresh = true; },
      [&](const v1::WatchSweepResponse& update) {
        SweepNews news;
        if (fresh) {
          news.model.emplace();
          loading = news.model->Load(client, sweep);
          // If the coordinator goes away now, the stream ends too, and its status counts.
          if (!loading.ok()) return absl::IsUnavailable(loading);
          listable = news.model->has_jobs();
        }
        news.update = update;
        if (!fresh && listable) Complete(client, sweep, &news);
        fresh = false;
        return tell(std::move(news));
      });
  return watching.ok() ? loading : watching;
}

void SweepFollower::Take(SweepNews news) {
  const bool anew = news.model.has_value();
  if (anew) model_ = *std::move(news.model);
  model_.Refresh(news.refreshed);
  if (news.update.has_value()) Update(*news.update);
  if (anew && !started_ && !terminal_.interactive) TellProgress();
  started_ |= anew;
  Draw(anew || (news.update.has_value() && news.update->has_summary()));
}

void SweepFollower::Update(const v1::WatchSweepResponse& update) {
  const SweepModel::Change change = model_.Apply(update);
  if (terminal_.interactive || !started_) return;
  if (!change.is_job) return TellProgress();
  if (model_.summary().jobs() > kMaxJobsToTell) return;
  const std::string line = ChangeLine(change);
  if (!line.empty()) out_ << line << std::endl;
}

void SweepFollower::Note(const std::string& line) {
  block_.Erase();
  out_ << Printable(line) << std::endl;
  if (started_) Draw(true);
}

void SweepFollower::Stop() {
  block_.Erase();
  started_ = false;
}

void SweepFollower::Tick() {
  if (!terminal_.interactive || !started_) return;
  if (Resized() || Page() != drawn_page_) Draw(true);
}

size_t SweepFollower::Page() const { return static_cast<size_t>(clock_->Monotonic() / kPageTime); }

bool SweepFollower::Resized() {
  const Terminal present = DetectTerminal(STDOUT_FILENO);
  if (!present.interactive) return false;
  const bool other = present.width != terminal_.width || present.height != terminal_.height;
  terminal_ = present;
  block_.Resize(terminal_);
  return other;
}

void SweepFollower::Draw(bool now) {
  if (!terminal_.interactive || !started_) return;
  const absl::Duration time = clock_->Monotonic();
  if (!now && time - drawn_at_ < kRedraw) return;
  drawn_at_ = time;
  Resized();
  drawn_page_ = Page();
  block_.Draw(WatchLines(model_, terminal_, drawn_page_));
}

void SweepFollower::TellProgress() {
  const int tenths = static_cast<int>(Fraction(model_.summary()) * 10);
  if (tenths == printed_tenths_) return;
  printed_tenths_ = tenths;
  out_ << ProgressLine(model_.summary()) << std::endl;
}

}  // namespace coppice::cli
