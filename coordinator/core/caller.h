#ifndef COPPICE_COORDINATOR_CORE_CALLER_H_
#define COPPICE_COORDINATOR_CORE_CALLER_H_

#include <functional>
#include <string>

namespace coppice::core {

// The client behind a call, as far as the transport knows it. A default Caller shares with nobody
// and never goes away.
struct Caller {
  // The address of its connection, e.g. "ipv4:10.0.0.7:4242". Each peer gets its own share of the
  // reader threads.
  std::string peer;
  // The name in its token; empty if the server requires no token.
  std::string name;
  // Returns true once nobody waits for the answer. May be empty. Any thread may call it until
  // `done` is called.
  std::function<bool()> gone;
};

// Formats the caller as "ana at ipv4:10.0.0.7:4242", as far as it is known.
inline std::string Describe(const Caller& caller) {
  const std::string name = caller.name.empty() ? "somebody" : caller.name;
  return caller.peer.empty() ? name : name + " at " + caller.peer;
}

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_CALLER_H_
