#ifndef COPPICE_TESTS_WORKER_DAEMON_FAKE_COORDINATOR_H_
#define COPPICE_TESTS_WORKER_DAEMON_FAKE_COORDINATOR_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/daemon/coordinator_client.h"

namespace coppice::worker {

// Answers everything with OK unless set otherwise, and records the calls.
class FakeCoordinator : public CoordinatorClient {
 public:
  // The records and calls so far: "row 1:1#2 step 100", "checkpoint 1:1 step 100",
  // "complete 1:1 step 100", "upload 1:1 step 100", ... Those with an error are left out.
  std::vector<std::string> seen;
  std::vector<v1::RegisterRequest> registrations;
  std::vector<v1::HeartbeatRequest> heartbeats;
  std::vector<v1::AcquireLeasesRequest> acquires;
  // Records that came, those with an error included.
  std::vector<v1::CheckpointRecord> checkpoints;
  std::vector<v1::Completion> completions;
  std::vector<v1::Failure> failures;
  std::vector<v1::Release> releases;
  std::vector<v1::StreamRecordsRequest> messages;
  std::vector<v1::RejectCheckpointRequest> rejections;
  std::vector<uint32_t> start_steps;  // start steps of trainers, from their records
  std::vector<std::string> uploads;
  std::vector<v1::LeaveRequest> goodbyes;
  bool hold_goodbye = false;  // never answer one

  bool down = false;
  bool acknowledge = true;  // answer records as they come
  std::string unreadable;   // prefix of a record that ends the stream
  int streams = 0;
  std::string store_id = "store";
  absl::Status registration = absl::OkStatus();
  std::deque<v1::RegisterResponse> register_answers;  // the next answers that are not the default
  // The next answers that are not OK: of a method, or to a record ("checkpoint", "complete",
  // "fail", "release"). For a record, ABORTED means that the lease is over, INVALID_ARGUMENT and
  // FAILED_PRECONDITION that it is refused; any other code ends the stream. With
  // FAILED_PRECONDITION, DATA_LOSS or ALREADY_EXISTS, a checkpoint is left out.
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
  static v1::AttemptAnswer AnswerOf(uint64_t job, uint64_t number) {
    v1::AttemptAnswer answer;
    answer.mutable_lease()->set_job_id(job);
    answer.mutable_lease()->set_attempt(1);
    answer.set_number(number);
    return answer;
  }
  void Acknowledge(uint64_t job, uint64_t number) { Answer(AnswerOf(job, number)); }
  void Answer(const v1::AttemptAnswer& answer) {
    v1::StreamRecordsResponse response;
    *response.add_answers() = answer;
    stream_->on_answer(response);
  }
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
      directive->set_reason("for a reason");
    }
    callback(response);
  }
  void Leave(const v1::LeaveRequest& request, Callback<v1::LeaveResponse> callback) override {
    if (hold_goodbye) return;
    if (const absl::Status status = Next("Leave"); !status.ok()) return callback(status);
    goodbyes.push_back(request);
    callback(v1::LeaveResponse());
  }
  void RejectCheckpoint(const v1::RejectCheckpointRequest& request,
                        Callback<v1::RejectCheckpointResponse> callback) override {
    rejections.push_back(request);
    Take("RejectCheckpoint", absl::StrCat("reject ", Name(request.lease())), reject_answer,
         callback);
  }
  void UploadCheckpoint(const v1::CheckpointUpload& header, const std::string& file,
                        Callback<v1::UploadCheckpointResponse> callback) override {
    uploads.push_back(file);
    Take("UploadCheckpoint",
         absl::StrCat("upload ", Name(header.lease()), " step ", header.checkpoint().step()),
         v1::UploadCheckpointResponse(), callback);
  }
  void DownloadCheckpoint(const v1::DownloadCheckpointRequest& request, uint64_t,
                          const std::string& file,
                          std::function<void(absl::Status)> callback) override {
    seen.push_back(absl::StrCat("download ", Name(request.lease()), " ", request.path()));
    callback(on_download(file));
  }
  std::unique_ptr<RecordStream> OpenRecords(
      std::function<void(v1::StreamRecordsResponse)> on_answer,
      std::function<void(absl::Status)> on_end) override {
    auto stream = std::make_unique<Stream>(this, on_answer, on_end);
    if (const absl::Status status = Next("StreamRecords"); !status.ok()) {
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
  struct Stream : RecordStream {
    Stream(FakeCoordinator* owner, std::function<void(v1::StreamRecordsResponse)> answer,
           std::function<void(absl::Status)> end)
        : owner(owner), on_answer(std::move(answer)), on_end(std::move(end)) {}
    ~Stream() override {
      if (owner->stream_ == this) owner->stream_ = nullptr;
    }
    void Send(v1::StreamRecordsRequest message) override {
      if (owner->stream_ == this) owner->OnRecords(message);
    }
    FakeCoordinator* const owner;
    const std::function<void(v1::StreamRecordsResponse)> on_answer;
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
  static std::string KindOf(const v1::AttemptRecord& record) {
    if (record.has_row()) return "row";
    if (record.has_log()) return "log";
    if (record.has_start()) return "start";
    if (record.has_checkpoint()) return "checkpoint";
    return record.has_completed() ? "complete" : record.has_failed() ? "fail" : "release";
  }
  static std::string Describe(const v1::AttemptRecord& record) {
    const std::string what = absl::StrCat(KindOf(record), " ", Name(record.lease()));
    const auto at_step = [&](uint32_t step) { return absl::StrCat(what, " step ", step); };
    if (record.has_checkpoint()) return at_step(record.checkpoint().step());
    if (record.has_completed()) return at_step(record.completed().step());
    if (record.has_released()) return at_step(record.released().step());
    if (record.has_failed()) return absl::StrCat(what, " ", record.failed().kind());
    const std::string numbered = absl::StrCat(what, "#", record.number());
    if (!record.has_row()) return numbered;
    return absl::StrCat(numbered, " step ", record.row().step());
  }
  void Keep(const v1::AttemptRecord& record) {
    if (record.has_start()) start_steps.push_back(record.start().step());
    if (record.has_checkpoint()) checkpoints.push_back(record.checkpoint());
    if (record.has_completed()) completions.push_back(record.completed());
    if (record.has_failed()) failures.push_back(record.failed());
    if (record.has_released()) releases.push_back(record.released());
  }
  void OnRecords(const v1::StreamRecordsRequest& message) {
    messages.push_back(message);
    for (const v1::AttemptRecord& record : message.records()) {
      // A message that ends the stream is not taken at all.
      const absl::Status end = EndOfStream(record);
      if (!end.ok()) return BreakStream(end);
    }
    std::map<std::pair<uint64_t, uint64_t>, v1::AttemptAnswer> answers;
    for (const v1::AttemptRecord& record : message.records()) {
      v1::AttemptAnswer& answer = answers[{record.lease().job_id(), record.lease().attempt()}];
      *answer.mutable_lease() = record.lease();
      if (!answer.has_refusal() && !answer.over()) Take(record, &answer);
    }
    if (!acknowledge) return;
    v1::StreamRecordsResponse response;
    for (const auto& [key, answer] : answers) *response.add_answers() = answer;
    stream_->on_answer(response);
  }
  static bool LeavesOut(const absl::Status& status) {
    return absl::IsFailedPrecondition(status) || absl::IsDataLoss(status) ||
           absl::IsAlreadyExists(status);
  }
  absl::Status EndOfStream(const v1::AttemptRecord& record) {
    if (!unreadable.empty() && Describe(record).rfind(unreadable, 0) == 0) {
      return absl::InvalidArgumentError("what is that");
    }
    std::deque<absl::Status>& queue = errors[KindOf(record)];
    if (queue.empty()) return absl::OkStatus();
    const absl::Status status = queue.front();
    const bool of_the_record =
        absl::IsAborted(status) || absl::IsInvalidArgument(status) ||
        (record.has_checkpoint() ? LeavesOut(status) : absl::IsFailedPrecondition(status));
    if (of_the_record) return absl::OkStatus();
    queue.pop_front();
    Keep(record);
    return status;
  }
  void Take(const v1::AttemptRecord& record, v1::AttemptAnswer* answer) {
    Keep(record);
    const absl::Status status = Next(KindOf(record));
    if (absl::IsAborted(status)) {
      answer->set_over(true);
      return;
    }
    if (status.ok()) {
      seen.push_back(Describe(record));
    } else if (record.has_checkpoint() && LeavesOut(status)) {
      v1::Omission* omission = answer->add_omissions();
      omission->set_number(record.number());
      omission->set_reason(std::string(status.message()));
    } else {
      answer->set_number(record.number() - 1);
      answer->mutable_refusal()->set_code(static_cast<uint32_t>(status.code()));
      answer->mutable_refusal()->set_message(std::string(status.message()));
      return;
    }
    answer->set_number(record.number());
    answer->set_over(record.has_completed() || record.has_failed() || record.has_released());
  }

  std::deque<Callback<v1::AcquireLeasesResponse>> polls_;
  Stream* stream_ = nullptr;
};

}  // namespace coppice::worker

#endif  // COPPICE_TESTS_WORKER_DAEMON_FAKE_COORDINATOR_H_
