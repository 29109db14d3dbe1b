#ifndef COPPICE_COORDINATOR_CORE_CALLER_H_
#define COPPICE_COORDINATOR_CORE_CALLER_H_

#include <functional>
#include <string>

namespace coppice::core {

// The client behind a call, as far as the transport knows it. The default is a caller that nobody
// has to share with, and that stays.
struct Caller {
  // Its connection, e.g. "ipv4:10.0.0.7:4242". Queries are shared out by it.
  std::string peer;
  // Of the token that it presented; empty where none is asked for.
  std::string name;
  // True: nobody waits for the answer any more. May be empty. Called until `done` is called, on any
  // thread.
  std::function<bool()> gone;
};

// "ana at ipv4:10.0.0.7:4242", as far as it is known.
inline std::string Describe(const Caller& caller) {
  const std::string name = caller.name.empty() ? "somebody" : caller.name;
  return caller.peer.empty() ? name : name + " at " + caller.peer;
}

}  // namespace coppice::core

#endif  // COPPICE_COORDINATOR_CORE_CALLER_H_
