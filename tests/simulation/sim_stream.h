#ifndef COPPICE_TESTS_SIMULATION_SIM_STREAM_H_
#define COPPICE_TESTS_SIMULATION_SIM_STREAM_H_

#include <functional>
#include <memory>
#include <string>

#include "tests/simulation/ledger.h"
#include "tests/simulation/network.h"
#include "tests/simulation/planted_bugs.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::simulation {

// Purpose: the worker's end of a record stream. Messages keep their order in both directions until
// the stream breaks. After that, messages in flight to the server may still arrive, even long after
// the worker has opened another stream. Owner: the agent's pump; messages in flight outlive it.
class SimStream : public worker::RecordStream {
 public:
  using OnAnswer = std::function<void(v1::StreamRecordsResponse)>;
  using OnEnd = std::function<void(absl::Status)>;
  SimStream(Network* network, Ledger* ledger, std::string machine, const LifeRef& life,
            PlantedBug bug, OnAnswer on_answer, OnEnd on_end);
  ~SimStream() override;

  void Send(v1::StreamRecordsRequest message) override;

 private:
  // Planted bugs that change a message on its way.
  void LoseRows(v1::StreamRecordsRequest* message);
  void MoveEndingsAhead(v1::StreamRecordsRequest* message);

  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace coppice::simulation

#endif  // COPPICE_TESTS_SIMULATION_SIM_STREAM_H_
