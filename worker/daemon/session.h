#ifndef COPPICE_WORKER_DAEMON_SESSION_H_
#define COPPICE_WORKER_DAEMON_SESSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/sequence.h"

namespace coppice::worker {

// Purpose: the worker's standing with the coordinator. Registers, and again whenever the
// coordinator does not know the worker; sends heartbeats; makes calls that are tried until they are
// answered. Owned by the Agent. Lives on the agent's sequence, as do all its callbacks. Failure
// codes: only a refused registration ends it (`on_fatal`, or `on_superseded` where a newer process
// has the name); a coordinator that is away is waited for without end.
class Session {
 public:
  struct Hooks {
    std::function<std::vector<v1::HeldLease>()> held;
    std::function<bool()> draining;
    // Each time, also after the coordinator had forgotten the worker. An error is fatal.
    std::function<absl::Status(const v1::RegisterResponse&)> on_registered;
    std::function<void(const v1::HeartbeatResponse&)> on_heartbeat;
    std::function<void(absl::Status)> on_fatal;
    std::function<void(const v1::Superseded&)> on_superseded;
  };
  // `self` is the registration without `held`.
  Session(const Environment* environment, v1::RegisterRequest self, Hooks hooks);
  ~Session();

  void Start() { Register(); }

  bool registered() const { return registered_; }
  // The last exchange with the coordinator succeeded.
  bool connected() const { return connected_; }
  // When `connected` became true, on the monotonic clock.
  absl::Duration connected_since() const { return connected_since_; }
  const std::string& worker_id() const { return worker_id_; }
  // Counts registrations; what a caller saw when a call of its own was answered NOT_FOUND.
  uint64_t registration() const { return registration_; }
  // A call of that registration was answered NOT_FOUND: registers again, unless that has happened
  // since.
  void WorkerUnknown(uint64_t registration);
  // Calls back once, when the worker is registered (soon, when it is now).
  void WhenRegistered(std::function<void()> callback);

  // One try: makes the call in the name of `worker_id` and reports its status.
  using Attempt =
      std::function<void(const std::string& worker_id, std::function<void(absl::Status)> answer)>;
  using CallId = uint64_t;
  // Makes a call again and again, with backoff and across registrations, until it has an answer
  // that another try would not change, and hands that to `done`. NOT_FOUND counts only right after
  // a fresh registration: then it is the job that is unknown, not the worker.
  CallId Call(std::string what, Attempt attempt, std::function<void(absl::Status)> done);
  // `done` does not come. A try in flight may still take effect.
  void Cancel(CallId id);

 private:
  struct PendingCall;

  void Register();
  void OnRegisterAnswer(absl::StatusOr<v1::RegisterResponse> answer);
  void End();
  void SendHeartbeat();
  void OnHeartbeatAnswer(uint64_t registration, absl::StatusOr<v1::HeartbeatResponse> answer);
  void SetConnected(bool connected, const absl::Status& status);
  void Try(CallId id);
  void OnTried(CallId id, uint64_t registration, const absl::Status& status);

  const Environment* const environment_;
  v1::RegisterRequest self_;
  const Hooks hooks_;
  CallbackOwner callbacks_;

  bool registered_ = false;
  bool registering_ = false;
  bool connected_ = false;
  bool said_disconnected_ = false;
  bool stopped_ = false;  // registered never again
  bool confirming_ = false;
  absl::Duration connected_since_ = absl::ZeroDuration();
  uint64_t registration_ = 0;
  std::string worker_id_;
  absl::Duration heartbeat_interval_ = absl::Seconds(10);
  Backoff backoff_;
  Timer timer_;  // the next registration or heartbeat
  std::vector<std::function<void()>> when_registered_;
  CallId last_call_ = 0;
  std::map<CallId, std::unique_ptr<PendingCall>> calls_;
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_SESSION_H_
