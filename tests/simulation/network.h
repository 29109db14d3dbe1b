#ifndef COPPICE_TESTS_SIMULATION_NETWORK_H_
#define COPPICE_TESTS_SIMULATION_NETWORK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/sim_service.h"
#include "tests/simulation/world.h"

namespace coppice::simulation {

// A message or call in flight. It is notified when the coordinator's process ends.
class InFlight {
 public:
  virtual ~InFlight() = default;
  virtual void OnServerGone() = 0;
};

// Purpose: carries messages between machines and the coordinator. It loses, repeats and delays them
// as the schedule says, each independently, so any message may overtake another. A stream keeps its
// order. Owner: a Simulation. One thread.
class Network {
 public:
  Network(World* world, const Rates& rates) : world_(*world), rates_(rates) {}

  // Sets the process that answers from now on; null: connections are refused. Calls in flight to
  // the previous one fail.
  void SetServer(SimService* service);
  SimService* server() { return server_; }
  void Cut(const std::string& machine, absl::Duration time) {
    cut_until_[machine] = world_.now() + time;
  }
  bool IsCut(const std::string& machine) const;
  // Ends all faults.
  void Heal();

  // Makes one call. `serve` hands the request to the service, and may run twice or never.
  // `callback` runs once, at the latest with DEADLINE_EXCEEDED. If calls are delayed, this one may
  // be served later by up to `later`, long after its caller has given up or gone.
  template <typename Response>
  void Call(const std::string& machine, absl::Duration timeout,
            std::function<void(SimService&, Reply<Response>)> serve, Reply<Response> callback,
            absl::Duration later = absl::ZeroDuration());

  World& world() { return world_; }
  const Rates& rates() const { return rates_; }
  absl::Duration Delay();
  absl::Duration Later(absl::Duration longest);
  void Watch(const std::shared_ptr<InFlight>& what);

 private:
  template <typename Response>
  struct CallState : InFlight, std::enable_shared_from_this<CallState<Response>> {
    void Finish(absl::StatusOr<Response> result) {
      if (done) return;
      done = true;
      const auto call = std::move(callback);
      call(std::move(result));
    }
    void FailSoon(absl::Duration delay) {
      world->At(delay, [self = this->shared_from_this()] {
        self->Finish(absl::UnavailableError("the connection is gone"));
      });
    }
    void OnServerGone() override {
      if (done || !reached_server) return;
      FailSoon(world->random().Time(absl::ZeroDuration(), absl::Seconds(3)));
    }
    World* world = nullptr;
    Reply<Response> callback;
    bool done = false;
    bool reached_server = false;
  };

  // True if the line loses a message sent now.
  bool Loses(const std::string& machine);
  template <typename Response>
  void OnLost(const std::shared_ptr<CallState<Response>>& call);
  template <typename Response>
  void Answer(const std::string& machine, const std::shared_ptr<CallState<Response>>& call,
              absl::StatusOr<Response> result);

  World& world_;
  Rates rates_;
  SimService* server_ = nullptr;
  std::map<std::string, absl::Duration> cut_until_;
  std::vector<std::weak_ptr<InFlight>> in_flight_;
};

template <typename Response>
void Network::OnLost(const std::shared_ptr<CallState<Response>>& call) {
  // The connection breaks, or the loss goes unnoticed until the deadline.
  if (world_.random().Chance(0.5)) {
    call->FailSoon(world_.random().Time(absl::Milliseconds(100), absl::Seconds(3)));
  }
}

template <typename Response>
void Network::Answer(const std::string& machine, const std::shared_ptr<CallState<Response>>& call,
                     absl::StatusOr<Response> result) {
  if (call->done) return;
  if (Loses(machine)) {
    world_.Did(Fault::kAnswerLost);
    return OnLost(call);
  }
  world_.At(Delay(), [this, machine, call, result = std::move(result)] {
    if (!call->done && IsCut(machine)) {
      world_.Did(Fault::kAnswerLost);
      return OnLost(call);
    }
    call->Finish(result);
  });
}

template <typename Response>
void Network::Call(const std::string& machine, absl::Duration timeout,
                   std::function<void(SimService&, Reply<Response>)> serve,
                   Reply<Response> callback, absl::Duration later) {
  auto call = std::make_shared<CallState<Response>>();
  call->world = &world_;
  call->callback = std::move(callback);
  Watch(call);
  world_.At(timeout, [call] { call->Finish(absl::DeadlineExceededError("no answer in time")); });
  const bool twice = world_.random().Chance(rates_.duplicated);
  if (Loses(machine)) {
    world_.Did(Fault::kRequestLost);
    return OnLost(call);
  }
  const auto arrive = [this, machine, call, serve = std::move(serve)] {
    if (IsCut(machine)) {
      world_.Did(Fault::kRequestLost);
      return OnLost(call);
    }
    if (server_ == nullptr) return call->FailSoon(absl::Milliseconds(1));
    call->reached_server = true;
    serve(*server_, [this, machine, call](absl::StatusOr<Response> result) {
      Answer(machine, call, std::move(result));
    });
  };
  world_.At(Delay() + Later(later), arrive);
  if (!twice) return;
  world_.Did(Fault::kDuplicated);
  world_.At(Delay() + Delay() + Later(later), arrive);
}

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_NETWORK_H_
