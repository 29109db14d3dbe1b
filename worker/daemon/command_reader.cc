#include "worker/daemon/command_reader.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/utf8.h"

namespace coppice::worker {
namespace {

constexpr size_t kMaxOutputBytes = 64 << 10;
constexpr size_t kMaxErrorBytes = 300;
// A slurmctld that is away is noticed after 9 s.
constexpr absl::Duration kAnswerWithin = absl::Seconds(30);

// The program's path, or nothing. A relative folder in PATH is left out: the working folder of a
// job is anywhere.
std::string FindProgram(const std::string& name, const std::string& path) {
  for (const absl::string_view folder : absl::StrSplit(path, ':')) {
    if (!absl::StartsWith(folder, "/")) continue;
    const std::string file = JoinPath(folder, name);
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

}  // namespace

CommandReader::CommandReader(const Environment* environment)
    : environment_(environment), callbacks_(environment->main), limit_(environment) {}

CommandReader::~CommandReader() {
  if (process_) process_->Signal(SIGKILL);
}

void CommandReader::Read(std::vector<std::string> argv, const std::string& path,
                         std::function<void(absl::StatusOr<std::string>)> done) {
  program_ = argv.front();
  done_ = std::move(done);
  out_.clear();
  err_.clear();
  late_ = false;
  const std::string file = FindProgram(program_, path);
  if (file.empty()) {
    const auto answer = callbacks_.Bind(
        [this] { Finish(absl::NotFoundError(absl::StrCat("no ", program_, " in PATH"))); });
    environment_->main(answer);
    return;
  }
  ProcessCommand command;
  command.argv = std::move(argv);
  command.argv.front() = file;
  command.environment = {{"SLURM_TIME_FORMAT", "%s"}, {"LC_ALL", "C"}};
  ProcessCallbacks callbacks;
  callbacks.on_stdout = callbacks_.Bind([this](const std::string& bytes) {
    out_.append(bytes, 0, kMaxOutputBytes - std::min(kMaxOutputBytes, out_.size()));
    if (process_) process_->ReadMore(Process::Pipe::kStdout);
  });
  callbacks.on_stderr = callbacks_.Bind([this](const std::string& bytes) {
    err_ = Utf8Tail(err_ + bytes, kMaxErrorBytes);
    if (process_) process_->ReadMore(Process::Pipe::kStderr);
  });
  callbacks.on_exit = callbacks_.Bind([this](const ProcessExit& exit) { OnExit(exit); });
  process_ = environment_->launcher->Start(std::move(command), std::move(callbacks));
  limit_.Start(kAnswerWithin, [this] {
    late_ = true;
    process_->Signal(SIGKILL);
  });
}

void CommandReader::OnExit(const ProcessExit& exit) {
  limit_.Stop();
  process_.reset();
  if (!exit.spawn.ok()) return Finish(absl::UnavailableError(exit.spawn.message()));
  if (late_) {
    return Finish(absl::DeadlineExceededError(
        absl::StrCat(program_, " gave no answer in ", absl::FormatDuration(kAnswerWithin))));
  }
  if (exit.signal == 0 && exit.code == 0) return Finish(std::move(out_));
  const std::string how = exit.signal != 0 ? absl::StrCat("was killed by signal ", exit.signal)
                                           : absl::StrCat("failed with exit code ", exit.code);
  const std::string words = PrintableLine(absl::StripAsciiWhitespace(err_));
  Finish(
      absl::UnavailableError(absl::StrCat(program_, " ", how, words.empty() ? "" : ": ", words)));
}

void CommandReader::Finish(absl::StatusOr<std::string> answer) {
  const auto done = std::exchange(done_, nullptr);
  done(std::move(answer));
}

}  // namespace coppice::worker
