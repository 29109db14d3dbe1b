#include "tests/simulation/sim_stream.h"

#include <algorithm>
#include <map>
#include <utility>

#include "worker/daemon/attempt_records.h"

namespace coppice::simulation {

struct SimStream::State : InFlight, std::enable_shared_from_this<State> {
  State(Network* network, Ledger* ledger, std::string machine, const LifeRef& life, PlantedBug bug)
      : network(*network), ledger(*ledger), machine(std::move(machine)), life(life), bug(bug) {}

  World& world() { return network.world(); }
  // Returns when a message sent now arrives: after the earlier ones.
  absl::Duration InOrder(absl::Duration& last) {
    last = std::max(world().now() + network.Delay(), last + absl::Microseconds(1));
    return last - world().now();
  }
  bool Fails() {
    return network.IsCut(machine) || world().random().Chance(network.rates().stream_broken);
  }

  void ToServer(const v1::StreamRecordsRequest& message) {
    if (up_dead) return;
    if (network.IsCut(machine) && !broken) Break();
    if (up_dead) return;
    if (server == nullptr && network.server() != nullptr && !server_gone) {
      // Weak, because this end owns the other.
      const auto to_self = [weak = weak_from_this()](auto method, const auto& what) {
        const auto self = weak.lock();
        if (self != nullptr) (self.get()->*method)(what);
      };
      server = network.server()->OpenStream(
          [to_self](const v1::StreamRecordsResponse& answer) { to_self(&State::ToClient, answer); },
          [to_self](const absl::Status& status) { to_self(&State::EndFromServer, status); });
    }
    if (server == nullptr) {
      up_dead = true;  // messages after a lost one are lost too
      return Break();
    }
    server->Receive(message);
  }

  void ToClient(const v1::StreamRecordsResponse& answer) {
    if (down_dead) return;
    if (Fails()) return Break();
    world().At(InOrder(last_down), [self = shared_from_this(), answer] {
      if (self->down_dead || self->life.expired()) return;
      self->Deliver(answer);
    });
  }

  void Deliver(const v1::StreamRecordsResponse& answer) {
    for (const v1::AttemptAnswer& entry : answer.answers()) ledger.Acknowledged(entry);
    on_answer(answer);
  }

  // A planted bug: an answer that acknowledges everything sent but endings.
  void AcknowledgeAllSent() {
    if (life.expired() || !on_answer || sent.empty()) return;
    v1::StreamRecordsResponse answer;
    for (const auto& [key, record] : sent) {
      v1::AttemptAnswer* entry = answer.add_answers();
      *entry->mutable_lease() = record.lease();
      entry->set_number(record.number());
    }
    Deliver(answer);
  }

  void EndFromServer(const absl::Status& status) {
    if (down_dead) return;
    world().At(InOrder(last_down), [self = shared_from_this(), status] {
      if (!self->down_dead) self->EndAtClient(status);
    });
  }

  void EndAtClient(const absl::Status& status) {
    down_dead = true;
    if (ended || life.expired()) return;
    ended = true;
    if (bug == PlantedBug::kLostAnswerTakenForAnswer) AcknowledgeAllSent();
    on_end(status);
  }

  // Cuts the line: answers are lost, and each end notices some time later.
  void Break() {
    if (std::exchange(broken, true)) return;
    world().Did(Fault::kStreamBroken);
    down_dead = true;
    const bool both_ways = world().random().Chance(0.5);
    up_dead = up_dead || both_ways;
    const auto self = shared_from_this();
    world().At(world().random().Time(absl::ZeroDuration(), absl::Seconds(20)),
               [self] { self->EndAtClient(absl::UnavailableError("the stream broke")); });
    StopServer(absl::Seconds(30));
  }

  void StopServer(absl::Duration within) {
    world().At(world().random().Time(absl::ZeroDuration(), within), [self = shared_from_this()] {
      self->up_dead = true;
      if (self->server != nullptr) self->server->Stop();
      self->server = nullptr;
      self->server_gone = true;
    });
  }

  void OnServerGone() override {
    if (server == nullptr) return;
    server->Stop();
    server = nullptr;
    server_gone = true;
    up_dead = true;
    down_dead = true;
    world().At(world().random().Time(absl::ZeroDuration(), absl::Seconds(3)),
               [self = shared_from_this()] {
                 self->EndAtClient(absl::UnavailableError("the coordinator has gone"));
               });
  }

  Network& network;
  Ledger& ledger;
  const std::string machine;
  const LifeRef life;
  OnAnswer on_answer;
  OnEnd on_end;
  std::shared_ptr<ServerStream> server;
  absl::Duration last_up = absl::ZeroDuration();
  absl::Duration last_down = absl::ZeroDuration();
  bool broken = false;
  bool up_dead = false;    // nothing more arrives at the server
  bool down_dead = false;  // nothing more arrives at the worker
  bool server_gone = false;
  bool ended = false;
  const PlantedBug bug;
  std::map<LeaseKey, v1::AttemptRecord> sent;  // the last one of each attempt that is no ending
};

SimStream::SimStream(Network* network, Ledger* ledger, std::string machine, const LifeRef& life,
                     PlantedBug bug, OnAnswer on_answer, OnEnd on_end)
    : state_(std::make_shared<State>(network, ledger, std::move(machine), life, bug)) {
  state_->on_answer = std::move(on_answer);
  state_->on_end = std::move(on_end);
  network->Watch(state_);
}

SimStream::~SimStream() {
  state_->down_dead = true;
  state_->ended = true;
  state_->on_answer = nullptr;
  state_->on_end = nullptr;
  if (state_->world().random().Chance(0.5)) state_->up_dead = true;
  state_->StopServer(absl::Seconds(10));
}

void SimStream::Send(v1::StreamRecordsRequest message) {
  for (const v1::AttemptRecord& record : message.records()) {
    state_->ledger.Sent(record);
    if (!worker::IsEnding(record)) state_->sent[KeyOf(record.lease())] = record;
  }
  const PlantedBug bug = state_->bug;
  if (bug == PlantedBug::kSpoolDroppedBeforeAck) {
    state_->world().At(absl::ZeroDuration(), [state = state_] { state->AcknowledgeAllSent(); });
  }
  if (bug == PlantedBug::kCheckpointWithoutRows) LoseRows(&message);
  if (bug == PlantedBug::kEndingOvertakesRows) MoveEndingsAhead(&message);
  if (state_->broken || state_->up_dead) return;
  if (state_->Fails()) return state_->Break();
  state_->world().At(state_->InOrder(state_->last_up),
                     [state = state_, message] { state->ToServer(message); });
}

void SimStream::LoseRows(v1::StreamRecordsRequest* message) {
  for (v1::AttemptRecord& record : *message->mutable_records()) {
    if (record.has_row() && state_->world().random().Chance(0.1)) record.set_log("lost");
  }
}

void SimStream::MoveEndingsAhead(v1::StreamRecordsRequest* message) {
  for (v1::AttemptRecord& ending : *message->mutable_records()) {
    if (!worker::IsEnding(ending)) continue;
    for (v1::AttemptRecord& row : *message->mutable_records()) {
      if (!row.has_row() || KeyOf(row.lease()) != KeyOf(ending.lease())) continue;
      // The numbers stay in their places.
      const uint64_t number = row.number();
      row.set_number(ending.number());
      ending.set_number(number);
      row.Swap(&ending);
      break;
    }
  }
}

}  // namespace coppice::simulation
