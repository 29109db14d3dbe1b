#ifndef COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_
#define COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace coppice::commands {

// Purpose: the file that says where a coordinator serves (--port-file), from Write until the end.
// Only a file that holds an address, or nothing, is ever removed or replaced. Owner: main. Not
// thread-safe. Failure codes: FAILED_PRECONDITION, with the remedy, for a file that holds something
// else or is no file; else those of files.h.
class PortFile {
 public:
  // An empty path: there is none, and every call is OK.
  explicit PortFile(std::string path) : path_(std::move(path)) {}
  ~PortFile() { Remove(); }
  PortFile(const PortFile&) = delete;
  PortFile& operator=(const PortFile&) = delete;

  // Removes what an earlier coordinator has left, so that nobody takes it for this one's.
  absl::Status Clear();
  absl::Status Write(const std::string& address);
  // Removes what this one has written, unless another coordinator has written its own.
  void Remove();

 private:
  const std::string path_;
  std::string written_;
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_
