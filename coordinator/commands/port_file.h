#ifndef COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_
#define COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"

namespace coppice::commands {

// Purpose: the file with the coordinator's address (--port-file), from Write until the end. Only a
// file that is empty or holds an address is ever removed or replaced. Owner: main. Not thread-safe.
// Failure codes: FAILED_PRECONDITION, with the remedy (the file holds something else, or is not a
// file); otherwise those of files.h.
class PortFile {
 public:
  // An empty path: there is no file, and every call is OK.
  explicit PortFile(std::string path) : path_(std::move(path)) {}
  ~PortFile() { Remove(); }
  PortFile(const PortFile&) = delete;
  PortFile& operator=(const PortFile&) = delete;

  // Removes an earlier coordinator's file, so that nobody takes it for this one's.
  absl::Status Clear();
  absl::Status Write(const std::string& address);
  // Removes the file that this coordinator wrote, unless another one has replaced it.
  void Remove();

 private:
  const std::string path_;
  std::string written_;
};

}  // namespace coppice::commands

#endif  // COPPICE_COORDINATOR_COMMANDS_PORT_FILE_H_
