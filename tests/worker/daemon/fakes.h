// An agent's surroundings without threads, processes, network or time: a queue, a launcher that
// only records, and a coordinator that the test controls.
#ifndef COPPICE_TESTS_WORKER_DAEMON_FAKES_H_
#define COPPICE_TESTS_WORKER_DAEMON_FAKES_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/daemon/coordinator_client.h"
#include "worker/daemon/process_launcher.h"

namespace coppice::worker {

// A sequence that runs when the test asks it to.
class ManualSequence {
 public:
  bool Add(std::function<void()> work) {
    queue_.push_back(std::move(work));
    return true;
  }
  void RunAll() {
    while (!queue_.empty()) {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      work();
    }
  }

 private:
  std::deque<std::function<void()>> queue_;
};

// One trainer, played by the test.
struct FakeTrainer {
  ProcessCommand command;
  ProcessCallbacks callbacks;
  std::vector<int> signals;

  void Say(const std::string& line) { callbacks.on_stdout(line + "\n"); }
  void Exit(int code) {
    ProcessExit exit;
    exit.code = code;
    callbacks.on_exit(exit);
  }
  void Die(int signal) {
    ProcessExit exit;
    exit.signal = signal;
    callbacks.on_exit(exit);
  }
  void DoNotStart(absl::Status status) {
    ProcessExit exit;
    exit.spawn = std::move(status);
    callbacks.on_exit(exit);
  }

  // Seeds with their present steps.
  using Steps = std::vector<std::pair<int, int>>;
  void Start(const Steps& members, int steps) {
    Say(absl::StrCat(R"({"event":"start","protocol":1,"version":"t","provenance":{"build":"t"},)",
                     R"("members":)", List(members), R"(,"steps":)", steps, R"(,"parameters":9})"));
  }
  void Progress(const Steps& members) {
    Say(absl::StrCat(R"({"event":"progress","members":)", List(members),
                     R"(,"steps_per_second":12.5,"sequences_per_second":100})"));
  }
  void Metrics(int seed, int step) {
    Say(absl::StrCat(R"({"event":"metrics","seed":)", seed, R"(,"step":)", step,
                     R"(,"values":{"val_loss":0.5}})"));
  }
  void Checkpoint(int seed, int step,
                  const std::string& digest = "0123456789abcdef0123456789abcdef") {
    Say(absl::StrCat(R"({"event":"checkpoint","seed":)", seed, R"(,"step":)", step,
                     R"(,"path":"step-)", step, R"(.safetensors","digest":")", digest,
                     R"(","bytes":7})"));
  }
  void End(const std::string& event, int seed, int step) {
    Say(absl::StrCat(R"({"event":")", event, R"(","seed":)", seed, R"(,"step":)", step, "}"));
  }

 private:
  static std::string List(const Steps& members) {
    std::string list;
    for (const auto& [seed, step] : members) {
      absl::StrAppend(&list, list.empty() ? "[" : ",", R"({"seed":)", seed, R"(,"step":)", step,
                      "}");
    }
    return list + "]";
  }
};

class FakeLauncher : public ProcessLauncher {
 public:
  std::unique_ptr<Process> Start(ProcessCommand command, ProcessCallbacks callbacks) override {
    trainers.push_back(std::make_shared<FakeTrainer>());
    trainers.back()->command = std::move(command);
    trainers.back()->callbacks = std::move(callbacks);
    return std::make_unique<Handle>(trainers.back());
  }
  FakeTrainer& last() { return *trainers.back(); }

  std::vector<std::shared_ptr<FakeTrainer>> trainers;

 private:
  class Handle : public Process {
   public:
    explicit Handle(std::shared_ptr<FakeTrainer> trainer) : trainer_(std::move(trainer)) {}
    void Signal(int signal) override { trainer_->signals.push_back(signal); }
    void ReadMore(Pipe) override {}

   private:
    const std::shared_ptr<FakeTrainer> trainer_;
  };
};

// Answers everything with OK unless set otherwise, and records the calls.
class FakeCoordinator : public CoordinatorClient {
 public:
  // The calls so far: "row 1:1#2 step 100", "commit 1:1 step 100", "complete 1:1 last 3", ...
  std::vector<std::string> seen;
  std::vector<v1::RegisterRequest> registrations;
  std::vector<v1::HeartbeatRequest> heartbeats;
  std::vector<v1::AcquireLeasesRequest> acquires;
  std::vector<v1::FailJobRequest> failures;
  std::vector<v1::CommitCheckpointRequest> commits;
  std::vector<v1::CompleteJobRequest> completions;
  std::vector<v1::ReleaseLeaseRequest> releases;
  std::vector<v1::RejectCheckpointRequest> rejections;
  std::vector<uint32_t> start_steps;  // start steps of trainers, from their reports
  std::vector<std::string> uploads;

  bool down = false;
  bool acknowledge = true;  // acknowledge reports as they come
  std::string unreadable;   // prefix of a report that ends the stream
  int streams = 0;
  std::string store_id = "store";
  absl::Status registration = absl::OkStatus();
  std::deque<v1::RegisterResponse> register_answers;  // the next answers that are not the default
  // The next answers of a method that are not OK.
  std::map<std::string, std::deque<absl::Status>> errors;
  std::map<uint64_t, v1::Directive::Action> directives;  // by job
  bool drain = false;
  v1::RejectCheckpointResponse reject_answer;
  std::function<absl::Status(const std::string& file)> on_download;

  // Answers the waiting poll with a grant.
  void Grant(const v1::AcquireLeasesResponse& grant) {
    const auto callback = std::move(polls_.front());
    polls_.pop_front();
    callback(grant);
  }
  size_t waiting_polls() const { return polls_.size(); }
  bool stream_open() const { return stream_ != nullptr; }
  void Acknowledge(uint64_t job, uint64_t sequence) {
    v1::StreamMetricsResponse answer;
    answer.mutable_lease()->set_job_id(job);
    answer.mutable_lease()->set_attempt(1);
    answer.set_sequence(sequence);
    stream_->on_answer(answer);
  }
  void Answer(const v1::StreamMetricsResponse& answer) { stream_->on_answer(answer); }
  // Breaks the connection: calls in flight and later ones fail.
  void GoDown() {
    down = true;
    while (!polls_.empty()) {
      const auto callback = std::move(polls_.front());
      polls_.pop_front();
      callback(Away());
    }
    BreakStream(Away());
  }
  void BreakStream(absl::Status status) {
    if (stream_ == nullptr) return;
    const auto end = stream_->on_end;
    stream_ = nullptr;
    end(status);
  }
  // Entries of `seen` with this prefix.
  std::vector<std::string> Seen(const std::string& prefix) const {
    std::vector<std::string> some;
    for (const std::string& entry : seen) {
      if (entry.rfind(prefix, 0) == 0) some.push_back(entry);
    }
    return some;
  }

  void Register(const v1::RegisterRequest& request,
                Callback<v1::RegisterResponse> callback) override {
    if (down) return callback(Away());
    registrations.push_back(request);
    if (!registration.ok()) return callback(registration);
    if (!register_answers.empty()) {
      const v1::RegisterResponse answer = register_answers.front();
      register_answers.pop_front();
      return callback(answer);
    }
    v1::RegisterResponse response;
    response.set_worker_id(absl::StrCat("w", registrations.size()));
    response.set_heartbeat_interval_ms(1000);
    response.set_lease_ms(10000);
    response.set_store_id(store_id);
    callback(response);
  }
  void AcquireLeases(const v1::AcquireLeasesRequest& request,
                     Callback<v1::AcquireLeasesResponse> callback) override {
    acquires.push_back(request);
    if (const absl::Status status = Next("AcquireLeases"); !status.ok()) return callback(status);
    polls_.push_back(std::move(callback));
  }
  void CancelAcquires() override {
    while (!polls_.empty()) {
      const auto callback = std::move(polls_.front());
      polls_.pop_front();
      callback(absl::CancelledError(""));
    }
  }
  void Heartbeat(const v1::HeartbeatRequest& request,
                 Callback<v1::HeartbeatResponse> callback) override {
    if (const absl::Status status = Next("Heartbeat"); !status.ok()) return callback(status);
    heartbeats.push_back(request);
    v1::HeartbeatResponse response;
    response.set_drain(drain);
    for (const v1::HeldLease& held : request.held()) {
      v1::Directive* directive = response.add_directives();
      *directive->mutable_lease() = held.lease();
      const auto it = directives.find(held.lease().job_id());
      directive->set_action(it == directives.end() ? v1::Directive::CONTINUE : it->second);
      directive->set_reason("told so");
    }
    callback(response);
  }
  void CommitCheckpoint(const v1::CommitCheckpointRequest& request,
                        Callback<v1::CommitCheckpointResponse> callback) override {
    commits.push_back(request);
    Take("CommitCheckpoint",
         absl::StrCat("commit ", Name(request.lease()), " step ", request.step()),
         v1::CommitCheckpointResponse(), callback);
  }
  void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                        Callback<v1::RejectCheckpointResponse> callback) override {
    rejections.push_back(request);
    Take("RejectCheckpoint", absl::StrCat("reject ", Name(request.lease())), reject_answer,
         callback);
  }
  void CompleteJob(const v1::CompleteJobRequest& request,
                   Callback<v1::CompleteJobResponse> callback) override {
    completions.push_back(request);
    Take("CompleteJob",
         absl::StrCat("complete ", Name(request.lease()), " last ", request.last_sequence()),
         v1::CompleteJobResponse(), callback);
  }
  void FailJob(const v1::FailJobRequest& request, Callback<v1::FailJobResponse> callback) override {
    failures.push_back(request);
    Take("FailJob", absl::StrCat("fail ", Name(request.lease()), " ", request.kind()),
         v1::FailJobResponse(), callback);
  }
  void ReleaseLease(const v1::ReleaseLeaseRequest& request,
                    Callback<v1::ReleaseLeaseResponse> callback) override {
    releases.push_back(request);
    Take("ReleaseLease", absl::StrCat("release ", Name(request.lease()), " step ", request.step()),
         v1::ReleaseLeaseResponse(), callback);
  }
  void UploadCheckpoint(const v1::CommitCheckpointRequest& header, const std::string& file,
                        Callback<v1::UploadCheckpointResponse> callback) override {
    uploads.push_back(file);
    Take("UploadCheckpoint", absl::StrCat("upload ", Name(header.lease()), " step ", header.step()),
         v1::UploadCheckpointResponse(), callback);
  }
  void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t,
                          const std::string& file,
                          std::function<void(absl::Status)> callback) override {
    seen.push_back(absl::StrCat("download ", Name(request.lease()), " ", request.path()));
    callback(on_download(file));
  }
  std::unique_ptr<ReportStream> OpenReports(
      std::function<void(v1::StreamMetricsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) override {
    auto stream = std::make_unique<Stream>(this, on_answer, on_end);
    if (const absl::Status status = Next("StreamMetrics"); !status.ok()) {
      on_end(status);
    } else {
      stream_ = stream.get();
      ++streams;
    }
    return stream;
  }
  std::string Explain(const absl::Status& status) const override {
    return std::string(status.message());
  }

 private:
  struct Stream : ReportStream {
    Stream(FakeCoordinator* owner, std::function<void(v1::StreamMetricsResponse)> answer,
           std::function<void(absl::Status)> end)
        : owner(owner), on_answer(std::move(answer)), on_end(std::move(end)) {}
    ~Stream() override {
      if (owner->stream_ == this) owner->stream_ = nullptr;
    }
    void Send(const v1::StreamMetricsRequest& message) override {
      if (owner->stream_ != this) return;
      owner->OnReport(message);
    }
    FakeCoordinator* const owner;
    const std::function<void(v1::StreamMetricsResponse)> on_answer;
    const std::function<void(absl::Status)> on_end;
  };

  static absl::Status Away() { return absl::UnavailableError("nobody is there"); }
  static std::string Name(const v1::LeaseRef& lease) {
    return absl::StrCat(lease.job_id(), ":", lease.attempt());
  }
  absl::Status Next(const std::string& method) {
    if (down) return Away();
    std::deque<absl::Status>& queue = errors[method];
    if (queue.empty()) return absl::OkStatus();
    const absl::Status status = queue.front();
    queue.pop_front();
    return status;
  }
  template <typename Response>
  void Take(const std::string& method, const std::string& entry, const Response& response,
            const Callback<Response>& callback) {
    if (const absl::Status status = Next(method); !status.ok()) return callback(status);
    seen.push_back(entry);
    callback(response);
  }
  static std::string Describe(const v1::StreamMetricsRequest& message) {
    const std::string where = absl::StrCat(Name(message.lease()), "#", message.sequence());
    if (message.has_row()) return absl::StrCat("row ", where, " step ", message.row().step());
    return absl::StrCat(message.has_log() ? "log " : "provenance ", where);
  }
  void OnReport(const v1::StreamMetricsRequest& message) {
    seen.push_back(Describe(message));
    if (message.has_start_step()) start_steps.push_back(message.start_step());
    if (!unreadable.empty() && seen.back().rfind(unreadable, 0) == 0) {
      return BreakStream(absl::InvalidArgumentError("what is that"));
    }
    if (!acknowledge) return;
    v1::StreamMetricsResponse answer;
    *answer.mutable_lease() = message.lease();
    answer.set_sequence(message.sequence());
    stream_->on_answer(answer);
  }

  std::deque<Callback<v1::AcquireLeasesResponse>> polls_;
  Stream* stream_ = nullptr;
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_FAKES_H_
