#include "worker/daemon/session.h"

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/base/printable.h"
#include "common/base/retry_after.h"

namespace coppice::worker {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(200);
constexpr absl::Duration kLongestDelay = absl::Seconds(5);

// Statuses that another try may change. INTERNAL and UNKNOWN mean a coordinator in trouble or a
// broken connection, CANCELLED one that is shutting down, and the two about permission a token that
// is being replaced.
bool MayPass(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return true;
    default:
      return false;
  }
}

std::string Text(const absl::Status& status) { return status.ToString(); }

}  // namespace

struct Session::PendingCall {
  PendingCall(const Environment* environment, std::string what, Try make,
              std::function<void(absl::Status)> done)
      : what(std::move(what)),
        make(std::move(make)),
        done(std::move(done)),
        backoff(kFirstDelay, kLongestDelay, environment->entropy()),
        timer(environment) {}

  const std::string what;
  const Try make;
  const std::function<void(absl::Status)> done;
  Backoff backoff;
  Timer timer;
  bool said = false;       // its failure was logged
  bool not_found = false;  // answered once, under a registration that is over
};

Session::Session(const Environment* environment, v1::RegisterRequest self, Hooks hooks)
    : environment_(environment),
      self_(std::move(self)),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      backoff_(kFirstDelay, kLongestDelay, environment->entropy()),
      timer_(environment) {}

Session::~Session() = default;

void Session::Start() {
  away_since_ = environment_->clock->Monotonic();
  Register();
}

absl::Duration Session::away() const {
  if (connected_) return absl::ZeroDuration();
  return environment_->clock->Monotonic() - away_since_;
}

bool Session::Leave(v1::ExitReason reason, const std::string& message, std::function<void()> done) {
  const bool told = registered_ && connected_;
  End();
  timer_.Stop();
  registered_ = false;
  if (!told) return false;
  v1::LeaveRequest request;
  request.set_worker_id(worker_id_);
  request.set_reason(reason);
  request.set_message(PrintableLine(message));
  environment_->coordinator->Leave(
      request, callbacks_.Bind([done = std::move(done)](absl::StatusOr<v1::LeaveResponse> answer) {
        if (!answer.ok()) spdlog::warn("the goodbye failed: {}", answer.status().ToString());
        done();
      }));
  return true;
}

void Session::Register() {
  if (registering_ || stopped_) return;
  registering_ = true;
  registered_ = false;
  timer_.Stop();
  v1::RegisterRequest request = self_;
  for (v1::HeldLease& held : hooks_.held()) *request.add_held() = std::move(held);
  environment_->coordinator->Register(
      request, callbacks_.Bind([this](absl::StatusOr<v1::RegisterResponse> answer) {
        OnRegisterAnswer(std::move(answer));
      }));
}

void Session::OnRegisterAnswer(absl::StatusOr<v1::RegisterResponse> answer) {
  registering_ = false;
  if (stopped_) return;
  absl::Status status = answer.status();
  if (!answer.ok() && MayPass(status)) {
    SetConnected(false, status);
    timer_.Start(backoff_.Next(), [this] { Register(); });
    return;
  }
  if (status.ok() && answer->has_superseded_by()) {
    End();
    return hooks_.on_superseded(answer->superseded_by());
  }
  if (status.ok()) self_.set_incarnation(answer->incarnation());
  if (status.ok() && answer->confirm()) {
    // The first retry is immediate. Later ones come no faster than for a coordinator that is away.
    const bool again = std::exchange(confirming_, true);
    timer_.Start(again ? backoff_.Next() : absl::ZeroDuration(), [this] { Register(); });
    return;
  }
  confirming_ = false;
  if (status.ok() && answer->worker_id().empty()) {
    status = absl::InternalError("the coordinator's registration names no worker");
  }
  if (status.ok()) status = hooks_.on_registered(*answer);
  if (!status.ok()) {
    End();
    hooks_.on_fatal(status);
    return;
  }
  backoff_.Reset();
  registered_ = true;
  ++registration_;
  worker_id_ = answer->worker_id();
  heartbeat_interval_ =
      absl::Milliseconds(std::clamp<uint32_t>(answer->heartbeat_interval_ms(), 50, 600'000));
  SetConnected(true, absl::OkStatus());
  spdlog::info("registered as {} ({}), a heartbeat every {}", self_.name(), worker_id_,
               absl::FormatDuration(heartbeat_interval_));
  timer_.Start(heartbeat_interval_, [this] { SendHeartbeat(); });
  std::vector<std::function<void()>> waiting;
  waiting.swap(when_registered_);
  for (const auto& callback : waiting) callback();
}

void Session::End() {
  stopped_ = true;
  connected_ = false;
}

void Session::WhenRegistered(std::function<void()> callback) {
  if (registered_) {
    environment_->main(callbacks_.Bind(std::move(callback)));
  } else {
    when_registered_.push_back(std::move(callback));
  }
}

void Session::SetEnd(absl::Time end) {
  self_.set_ends_ms(end == absl::InfiniteFuture() ? 0 : absl::ToUnixMillis(end));
}

void Session::WorkerUnknown(uint64_t registration) {
  if (!registered_ || registration != registration_) return;
  spdlog::warn("the coordinator does not know this worker any more; registering again");
  Register();
}

void Session::SendHeartbeat() {
  if (!registered_) return;
  v1::HeartbeatRequest request;
  request.set_worker_id(worker_id_);
  request.set_draining(hooks_.draining());
  request.set_ends_ms(self_.ends_ms());
  request.set_idle_slots(hooks_.idle_slots());
  for (v1::HeldLease& held : hooks_.held()) *request.add_held() = std::move(held);
  environment_->coordinator->Heartbeat(
      request, callbacks_.Bind([this, registration = registration_](
                                   absl::StatusOr<v1::HeartbeatResponse> answer) {
        OnHeartbeatAnswer(registration, std::move(answer));
      }));
}

void Session::OnHeartbeatAnswer(uint64_t registration,
                                absl::StatusOr<v1::HeartbeatResponse> answer) {
  if (!registered_ || registration != registration_) return;
  if (absl::IsNotFound(answer.status())) return WorkerUnknown(registration);
  SetConnected(answer.ok(), answer.status());
  absl::Duration delay = heartbeat_interval_;
  if (answer.ok()) {
    backoff_.Reset();
    hooks_.on_heartbeat(*answer);
  } else {
    delay = std::min(delay, backoff_.Next());
  }
  timer_.Start(delay, [this] { SendHeartbeat(); });
}

void Session::SetConnected(bool connected, const absl::Status& status) {
  if (connected && !connected_) {
    connected_since_ = environment_->clock->Monotonic();
    if (said_disconnected_) spdlog::info("connected to the coordinator");
    said_disconnected_ = false;
  }
  if (!connected && connected_) away_since_ = environment_->clock->Monotonic();
  connected_ = connected;
  if (!connected && !said_disconnected_) {
    said_disconnected_ = true;
    spdlog::warn("{}; trying again until it answers, running jobs go on",
                 environment_->coordinator->Explain(status));
  }
}

Session::CallId Session::Call(std::string what, Try make, std::function<void(absl::Status)> done) {
  const CallId id = ++last_call_;
  calls_.emplace(id, std::make_unique<PendingCall>(environment_, std::move(what), std::move(make),
                                                   std::move(done)));
  TryNow(id);
  return id;
}

void Session::Cancel(CallId id) { calls_.erase(id); }

void Session::TryNow(CallId id) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  if (!registered_) {
    when_registered_.push_back([this, id] { TryNow(id); });
    return;
  }
  it->second->make(worker_id_,
                   callbacks_.Bind([this, id, registration = registration_](absl::Status status) {
                     OnTried(id, registration, status);
                   }));
}

void Session::OnTried(CallId id, uint64_t registration, const absl::Status& status) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  PendingCall& call = *it->second;
  if (absl::IsNotFound(status) && !call.not_found) {
    call.not_found = true;
    WorkerUnknown(registration);
    return TryNow(id);
  }
  if (MayPass(status)) {
    // The heartbeat logs once that the coordinator is away. A call is cancelled by this side, or by
    // the coordinator's end.
    const bool away = absl::IsUnavailable(status) || absl::IsCancelled(status);
    if (!call.said && !away) {
      call.said = true;
      spdlog::warn("{} failed ({}); trying again", call.what, Text(status));
    }
    call.timer.Start(std::max(call.backoff.Next(), RetryAfter(status)), [this, id] { TryNow(id); });
    return;
  }
  const std::function<void(absl::Status)> done = std::move(it->second->done);
  calls_.erase(it);
  done(status);
}

}  // namespace coppice::worker
