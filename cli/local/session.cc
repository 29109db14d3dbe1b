#include "cli/local/session.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "common/base/status_macros.h"

namespace coppice::cli {
namespace {

// The parent sees at once if the coordinator dies, so this only covers a broken stream.
constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

Session::Session(Client* client, v1::SweepSpec spec, uint32_t pack_width, bool retry)
    : client_(client),
      spec_(std::move(spec)),
      pack_width_(pack_width),
      retry_(retry),
      fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] { Run(); });
}

Session::~Session() {
  client_->CancelAll();
  thread_.join();
  ::close(fd_);
}

std::vector<Session::Event> Session::Take() {
  uint64_t count = 0;
  // An empty counter is no problem: the events themselves are behind the mutex.
  if (::read(fd_, &count, sizeof(count)) < 0) count = 0;
  absl::MutexLock lock(&mutex_);
  return std::exchange(events_, {});
}

void Session::Push(Event event) {
  {
    absl::MutexLock lock(&mutex_);
    events_.push_back(std::move(event));
  }
  const uint64_t one = 1;
  // The write fails only if the counter is full, which wakes the reader as well.
  if (::write(fd_, &one, sizeof(one)) < 0) return;
}

void Session::Run() {
  absl::StatusOr<v1::SubmitSweepResponse> submitted = Submit();
  const absl::Status status = submitted.status();
  Event event;
  event.submitted = std::move(submitted);
  Push(std::move(event));
  Event last;
  last.ended = status;
  if (status.ok()) {
    last.ended = FollowSweep(client_, spec_.name(), kPatience, [&](SweepNews news) {
      Event event;
      event.news = std::move(news);
      Push(std::move(event));
      return true;
    });
  }
  Push(std::move(last));
}

absl::StatusOr<v1::SubmitSweepResponse> Session::Submit() {
  COPPICE_RETURN_IF_ERROR(client_->CheckVersion());
  v1::SubmitSweepRequest request;
  *request.mutable_spec() = spec_;
  request.set_pack_width(pack_width_);
  absl::StatusOr<v1::SubmitSweepResponse> submitted = client_->Submit(request);
  if (absl::IsAlreadyExists(submitted.status())) submitted = Extend();
  COPPICE_ASSIGN_OR_RETURN(v1::SubmitSweepResponse response, std::move(submitted));
  if (retry_ && !response.created()) {
    v1::JobFilter filter;
    filter.set_sweep(spec_.name());
    COPPICE_RETURN_IF_ERROR(client_->RetryJobs(filter).status());
    COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse sweep, client_->GetSweep(spec_.name()));
    *response.mutable_sweep() = sweep.sweep();
  }
  return response;
}

absl::StatusOr<v1::SubmitSweepResponse> Session::Extend() {
  COPPICE_ASSIGN_OR_RETURN(PlannedExtension planned, PlanExtension(client_, spec_, pack_width_));
  const bool refused = !planned.answer.extension().refused().empty();
  Event event;
  event.extending = std::move(planned);
  Push(std::move(event));
  if (refused) return absl::AlreadyExistsError("the sweep has other settings");
  v1::ExtendSweepRequest request;
  *request.mutable_spec() = spec_;
  request.set_pack_width(pack_width_);
  COPPICE_ASSIGN_OR_RETURN(v1::ExtendSweepResponse extended, client_->Extend(request));
  v1::SubmitSweepResponse response;
  *response.mutable_sweep() = std::move(*extended.mutable_sweep());
  *response.mutable_plan() = std::move(*extended.mutable_plan());
  return response;
}

}  // namespace coppice::cli
