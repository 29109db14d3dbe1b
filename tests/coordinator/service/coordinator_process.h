// The coordinator's program as a process, with stubs for its services.
#ifndef COPPICE_TESTS_COORDINATOR_SERVICE_COORDINATOR_PROCESS_H_
#define COPPICE_TESTS_COORDINATOR_SERVICE_COORDINATOR_PROCESS_H_

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/rpc/channel.h"
#include "coppice/v1/coordinator.grpc.pb.h"
#include "tests/testing/subprocess.h"

namespace coppice::service {

inline constexpr absl::Duration kPatience = absl::Seconds(60);

// own_access_binary_test.cc and security_binary_test.cc test the authentication.
inline std::vector<std::string> Command(const std::vector<std::string>& flags) {
  std::vector<std::string> command = {COPPICE_COORDINATOR_BINARY, "--insecure"};
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

// A context whose deadline turns a hang into a failure.
class CallContext : public grpc::ClientContext {
 public:
  CallContext() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60)); }
};

// A running coordinator on a free port, with stubs.
class Coordinator {
 public:
  explicit Coordinator(const std::string& data_dir, const std::vector<std::string>& more = {},
                       const std::string& listen = "127.0.0.1:0")
      : port_file_(data_dir + ".port") {
    RemoveFile(port_file_).IgnoreError();  // a killed coordinator could not remove it
    std::vector<std::string> flags = {"--data-dir", data_dir,      "--listen",
                                      listen,       "--port-file", port_file_};
    flags.insert(flags.end(), more.begin(), more.end());
    process_.emplace(Command(flags));
    // Waits for the process's end between cheap checks of the file.
    for (int i = 0; i < 3000 && !FileExists(port_file_) && process_->Running(); ++i) {
      process_->Wait(absl::Milliseconds(20));
    }
    const absl::StatusOr<std::string> address = ReadFile(port_file_);
    if (!address.ok()) {
      ADD_FAILURE() << "the coordinator did not start: " << process_->err();
      return;
    }
    address_ = *address;
    channel_ = rpc::MakeChannel(address_).value();
    sweeps = v1::SweepService::NewStub(channel_);
    workers = v1::WorkerService::NewStub(channel_);
  }

  testing::Subprocess& process() { return *process_; }
  const std::string& address() const { return address_; }
  const std::string& port_file() const { return port_file_; }
  int Terminate(int signal = SIGTERM) {
    process_->Signal(signal);
    const auto status = process_->Wait(kPatience);
    return status.has_value() ? status->code : -1;
  }

 private:
  const std::string port_file_;
  std::optional<testing::Subprocess> process_;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;

 public:
  std::unique_ptr<v1::SweepService::Stub> sweeps;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

// One line on stderr (no log lines, no stack traces) and the exit code of a failed start.
inline void ExpectRefusal(const testing::RunResult& result, int code,
                          const std::vector<std::string>& parts) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  for (const std::string& part : parts) EXPECT_THAT(result.err, ::testing::HasSubstr(part));
}

}  // namespace coppice::service

#endif  // COPPICE_TESTS_COORDINATOR_SERVICE_COORDINATOR_PROCESS_H_
