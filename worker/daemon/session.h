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

// Purpose: the worker's registration with the coordinator. It registers, and registers again
// whenever the coordinator does not know the worker. It sends heartbeats, and retries calls until
// they are answered.
// Owner: the Agent.
// Threads: it lives on the agent's sequence, as do all its callbacks.
// Failure codes: only a refused registration ends it: `on_superseded` if a newer process has the
// name, otherwise `on_fatal`. It waits without limit for a coordinator that is away.
class Session {
 public:
  struct Hooks {
    std::function<std::vector<v1::HeldLease>()> held;
    std::function<bool()> draining;
    std::function<uint32_t()> idle_slots;
    // Called at each registration, including those after the coordinator forgot the worker. An
    // error is fatal.
    std::function<absl::Status(const v1::RegisterResponse&)> on_registered;
    std::function<void(const v1::HeartbeatResponse&)> on_heartbeat;
    std::function<void(absl::Status)> on_fatal;
    std::function<void(const v1::Superseded&)> on_superseded;
  };
  // `self` is the registration without `held`.
  Session(const Environment* environment, v1::RegisterRequest self, Hooks hooks);
  ~Session();

  void Start();

  bool registered() const { return registered_; }
  // The last exchange with the coordinator succeeded.
  bool connected() const { return connected_; }
  // The monotonic time at which `connected` became true.
  absl::Duration connected_since() const { return connected_since_; }
  // The time without an exchange with the coordinator, since Start at most.
  absl::Duration away() const;
  const std::string& worker_id() const { return worker_id_; }
  // The count of registrations. A caller notes it before a call, for WorkerUnknown.
  uint64_t registration() const { return registration_; }
  // Registrations say from now on that the worker ends then. Infinite: it has no end.
  void SetEnd(absl::Time end);
  // A call under that registration was answered NOT_FOUND. Registers again unless a newer
  // registration exists.
  void WorkerUnknown(uint64_t registration);
  // Says goodbye and ends the session; nothing is sent after it. `done` follows the answer. False:
  // the coordinator cannot be told now, and `done` is not called.
  bool Leave(v1::ExitReason reason, const std::string& message, std::function<void()> done);
  // Calls back once, when the worker is registered. The callback never runs inline.
  void WhenRegistered(std::function<void()> callback);

  // Makes the call once, in the name of `worker_id`, and reports its status.
  using Try =
      std::function<void(const std::string& worker_id, std::function<void(absl::Status)> answer)>;
  using CallId = uint64_t;
  // Retries a call with backoff, across registrations, until its answer is one that another try
  // would not change. That answer goes to `done`. NOT_FOUND is final only right after a fresh
  // registration: then the job is unknown, not the worker.
  CallId Call(std::string what, Try make, std::function<void(absl::Status)> done);
  // `done` is not called. A try in flight may still take effect.
  void Cancel(CallId id);

 private:
  struct PendingCall;

  void Register();
  void OnRegisterAnswer(absl::StatusOr<v1::RegisterResponse> answer);
  void End();
  void SendHeartbeat();
  void OnHeartbeatAnswer(uint64_t registration, absl::StatusOr<v1::HeartbeatResponse> answer);
  void SetConnected(bool connected, const absl::Status& status);
  void TryNow(CallId id);
  void OnTried(CallId id, uint64_t registration, const absl::Status& status);

  const Environment* const environment_;
  v1::RegisterRequest self_;
  const Hooks hooks_;
  CallbackOwner callbacks_;

  bool registered_ = false;
  bool registering_ = false;
  bool connected_ = false;
  bool said_disconnected_ = false;
  bool stopped_ = false;  // it never registers again
  bool confirming_ = false;
  absl::Duration connected_since_ = absl::ZeroDuration();
  absl::Duration away_since_ = absl::ZeroDuration();  // monotonic; while not connected
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
