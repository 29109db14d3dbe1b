// The hardware that this machine computes with, as a daemon without CUDA can see it.
#ifndef COPPICE_WORKER_DAEMON_MACHINE_H_
#define COPPICE_WORKER_DAEMON_MACHINE_H_

#include <string>

namespace coppice::worker {

struct Machine {
  bool gpu = false;  // a device node that CUDA programs need exists
  std::string name;  // processor, cores and GPU models; always the same text on the same machine
  std::string processor;  // the first part of it: processor and cores
};
// `root` is "" except in tests.
Machine DescribeMachine(const std::string& root = "");

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_MACHINE_H_
