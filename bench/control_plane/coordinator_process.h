#ifndef COPPICE_BENCH_CONTROL_PLANE_COORDINATOR_PROCESS_H_
#define COPPICE_BENCH_CONTROL_PLANE_COORDINATOR_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coppice::bench {

// Purpose: a real coordinator on this machine, with its data in `folder`. Owner: main. One thread.
// A start after a kill uses the same data and the same port.
class CoordinatorProcess {
 public:
  CoordinatorProcess(std::string binary, std::string folder, std::string checkpoint_folder,
                     double heartbeat_seconds);
  ~CoordinatorProcess();  // kills it
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  // Returns once it serves, or with its output if it does not.
  absl::Status Start();
  // Returns at once. The address is known from an earlier Start.
  absl::Status Exec();
  // Sends SIGKILL and waits for its end.
  void Kill();

  pid_t pid() const { return pid_; }
  const std::string& address() const { return address_; }
  // Returns an error once it has ended by itself.
  absl::Status CheckAlive();

 private:
  const std::string binary_;
  const std::string folder_;
  const std::string checkpoint_folder_;
  const double heartbeat_seconds_;
  std::string address_ = "127.0.0.1:0";
  pid_t pid_ = -1;
};

// Runs a command to its end with its output in a file, and returns its exit code.
absl::StatusOr<int> RunCommand(const std::vector<std::string>& argv, const std::string& output);

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_COORDINATOR_PROCESS_H_
