// What this machine computes with, as far as a daemon without CUDA can see.
#ifndef COPPICE_WORKER_DAEMON_MACHINE_H_
#define COPPICE_WORKER_DAEMON_MACHINE_H_

#include <string>

namespace coppice::worker {

struct Machine {
  bool gpu = false;  // there is a device node that CUDA programs need
  std::string name;  // processor, cores and the models of GPUs; the same text for the same machine
};
// `root` is "" but in tests.
Machine DescribeMachine(const std::string& root = "");

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_MACHINE_H_
