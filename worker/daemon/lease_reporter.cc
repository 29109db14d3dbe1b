#include "worker/daemon/lease_reporter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "worker/daemon/report_calls.h"
#include "worker/daemon/scratch.h"
#include "worker/daemon/text.h"

namespace coppice::worker {
namespace {

constexpr size_t kMaxLogBytes = 64 << 10;  // of one log message
constexpr size_t kMaxLogTailBytes = 16 << 10;
constexpr size_t kMaxReasonBytes = 4096;

bool IsStream(const SpoolRecord& record) {
  return std::holds_alternative<v1::StreamMetricsRequest>(record);
}

}  // namespace

std::string ToString(const LeaseKey& key) {
  return absl::StrCat("job ", key.first, " (attempt ", key.second, ")");
}

LeaseReporter::LeaseReporter(const Environment* environment, Session* session, const Config& config,
                             v1::Lease lease, Hooks hooks)
    : environment_(environment),
      session_(session),
      config_(config),
      lease_(std::move(lease)),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      step_(lease_.resume().step()),
      checkpoint_step_(lease_.resume().step()),
      spool_path_(JoinPath(config.spool_dir, SpoolFileName(lease_.lease()))) {
  // The file exists from the grant on, so that a restarted daemon knows which leases to give back.
  Flush();
}

LeaseReporter::LeaseReporter(const Environment* environment, Session* session, const Config& config,
                             SpoolContents contents, Hooks hooks)
    : environment_(environment),
      session_(session),
      config_(config),
      lease_(std::move(contents.lease)),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      step_(lease_.resume().step()),
      checkpoint_step_(lease_.resume().step()),
      spool_path_(JoinPath(config.spool_dir, SpoolFileName(lease_.lease()))),
      taken_up_(true),
      queue_(std::make_move_iterator(contents.records.begin()),
             std::make_move_iterator(contents.records.end())) {
  for (const SpoolRecord& record : queue_) {
    last_sequence_ = std::max(last_sequence_, SequenceOf(record));
    if (const auto* commit = std::get_if<v1::CommitCheckpointRequest>(&record)) {
      checkpoint_step_ = step_ = commit->step();
    }
    ended_ = ended_ || IsEnd(record);
  }
  auto spool = Spool::Continue(spool_path_, contents.valid_bytes);
  spool_wanted_ = spool.ok();
  if (spool.ok()) spool_ = std::move(*spool);
  environment_->main(callbacks_.Bind([this] { Advance(); }));
}

void LeaseReporter::SetProgress(uint32_t step, double steps_per_second) {
  step_ = std::max(step_, step);
  steps_per_second_ = steps_per_second;
}

v1::HeldLease LeaseReporter::Held() const {
  v1::HeldLease held;
  *held.mutable_lease() = lease_.lease();
  held.set_step(step_);
  held.set_steps_per_second(ended_ ? 0 : steps_per_second_);
  held.set_slot(slot_);
  return held;
}

void LeaseReporter::Row(v1::MetricRow row) {
  v1::StreamMetricsRequest message;
  *message.mutable_row() = std::move(row);
  AddMessage(std::move(message));
}

void LeaseReporter::Log(const std::string& text) {
  const std::string valid = ToValidUtf8(text);
  for (absl::string_view rest = valid; !rest.empty();) {
    absl::string_view piece = rest.substr(0, kMaxLogBytes);
    if (piece.size() < rest.size()) piece.remove_suffix(IncompleteUtf8Tail(piece));
    rest.remove_prefix(piece.size());
    v1::StreamMetricsRequest message;
    message.set_log(std::string(piece));
    AddMessage(std::move(message));
  }
}

void LeaseReporter::Provenance(const std::string& json, uint32_t start_step) {
  v1::StreamMetricsRequest message;
  message.set_provenance(ToValidUtf8(json));
  message.set_start_step(start_step);
  AddMessage(std::move(message));
}

void LeaseReporter::AddMessage(v1::StreamMetricsRequest message) {
  if (ended_) return;
  *message.mutable_lease() = lease_.lease();
  message.set_sequence(++last_sequence_);
  Add(std::move(message));
}

void LeaseReporter::Commit(uint32_t step, const std::string& path, const std::string& digest,
                           uint64_t bytes) {
  if (ended_) return;
  v1::CommitCheckpointRequest commit;
  *commit.mutable_lease() = lease_.lease();
  commit.set_step(step);
  commit.set_path(path);
  commit.set_digest(digest);
  commit.set_bytes(bytes);
  commit.set_last_sequence(last_sequence_);
  checkpoint_step_ = step;
  Add(std::move(commit));
}

void LeaseReporter::Complete(uint32_t step) {
  if (ended_) return;
  v1::CompleteJobRequest end;
  *end.mutable_lease() = lease_.lease();
  end.set_step(step);
  end.set_last_sequence(last_sequence_);
  ended_ = true;
  Add(std::move(end));
}

void LeaseReporter::Fail(uint32_t step, FailureKind kind, absl::string_view message,
                         absl::string_view log_tail) {
  if (ended_) return;
  v1::FailJobRequest end;
  *end.mutable_lease() = lease_.lease();
  end.set_step(step);
  end.set_kind(std::string(FailureKindText(kind)));
  end.set_message(Utf8Head(message, kMaxReasonBytes));
  end.set_log_tail(Utf8Tail(log_tail, kMaxLogTailBytes));
  ended_ = true;
  Add(std::move(end));
}

void LeaseReporter::Release(absl::string_view reason, uint32_t out_of_memory_width) {
  v1::ReleaseLeaseRequest end;
  end.set_out_of_memory_width(out_of_memory_width);
  AddRelease(std::move(end), reason);
}

void LeaseReporter::ReleaseUntrained(absl::string_view reason) {
  v1::ReleaseLeaseRequest end;
  end.set_untrained(true);
  AddRelease(std::move(end), reason);
}

void LeaseReporter::ReleaseForWidth(absl::string_view reason, uint32_t best_width) {
  v1::ReleaseLeaseRequest end;
  end.set_best_width(best_width);
  AddRelease(std::move(end), reason);
}

void LeaseReporter::ReleaseLost(absl::string_view reason) {
  v1::ReleaseLeaseRequest end;
  end.set_lost(true);
  AddRelease(std::move(end), reason);
}

void LeaseReporter::FailResume(const std::string& file, const std::string& digest, uint32_t step,
                               const std::string& message, const std::string& log_tail) {
  if (ended_) return;
  ended_ = true;
  auto done = callbacks_.Bind([this, step, message, log_tail](const absl::Status& status) {
    if (finished_) return;
    ended_ = false;
    if (!absl::IsNotFound(status) && !absl::IsDataLoss(status))
      return Fail(step, FailureKind::kCheckpoint, message, log_tail);
    ReleaseLost(absl::StrCat("the checkpoint it resumes from was damaged after it was checked: ",
                             status.message()));
  });
  environment_->background([place = config_.checkpoints, file, digest, done = std::move(done)] {
    done(VerifyCheckpoint(place, file, digest));
  });
}

void LeaseReporter::AddRelease(v1::ReleaseLeaseRequest end, absl::string_view reason) {
  if (ended_) return;
  *end.mutable_lease() = lease_.lease();
  end.set_step(checkpoint_step_);
  end.set_reason(Utf8Head(reason, kMaxReasonBytes));
  ended_ = true;
  Add(std::move(end));
}

void LeaseReporter::Add(SpoolRecord record) {
  backlog_.push_back(std::move(record));
  Flush();
}

void LeaseReporter::Flush() {
  if (flushing_ || finished_) return;
  flushing_ = true;
  auto records = std::make_shared<std::vector<SpoolRecord>>(std::move(backlog_));
  backlog_.clear();
  const auto done = callbacks_.Bind(
      [this, generation = generation_, records](std::shared_ptr<Spool> spool, absl::Status status) {
        if (spool) spool_ = std::move(spool);
        if (!status.ok() && spool_wanted_) {
          spool_wanted_ = false;
          spdlog::warn("{}: {}; its reports are kept in memory alone", ToString(key()),
                       status.ToString());
        }
        OnFlushed(generation, std::move(*records));
      });
  if (!spool_wanted_) {
    environment_->main([done] { done(nullptr, absl::OkStatus()); });
    return;
  }
  environment_->background(
      [done, records, spool = spool_, path = spool_path_, lease = lease_]() mutable {
        absl::Status status;
        if (spool == nullptr) {
          auto created = Spool::Create(path, lease);
          status = created.status();
          if (created.ok()) spool = std::move(*created);
        }
        for (size_t i = 0; status.ok() && i < records->size(); ++i) {
          status = spool->Append((*records)[i]);
        }
        if (status.ok() && !records->empty()) status = spool->Sync();
        done(std::move(spool), std::move(status));
      });
}

void LeaseReporter::OnFlushed(uint64_t generation, std::vector<SpoolRecord> records) {
  flushing_ = false;
  if (generation == generation_) {
    for (SpoolRecord& record : records) queue_.push_back(std::move(record));
  }
  if (!backlog_.empty()) Flush();
  if (finished_) return Finish();
  Advance();
}

void LeaseReporter::Advance() {
  if (finished_ || queue_.empty()) return;
  if (!IsStream(queue_.front())) CallFront();
  if (NextToSend() != nullptr) hooks_.on_sendable();
}

const v1::StreamMetricsRequest* LeaseReporter::NextToSend() const {
  uint64_t skipped = 0;
  for (const SpoolRecord& record : queue_) {
    const auto* message = std::get_if<v1::StreamMetricsRequest>(&record);
    if (message != nullptr && skipped++ == sent_) return message;
  }
  return nullptr;
}

void LeaseReporter::MarkSent() { ++sent_; }

void LeaseReporter::OnAnswer(const v1::StreamMetricsResponse& answer) {
  if (finished_) return;
  if (answer.stale()) return Lost("the coordinator says that its lease is over");
  if (!answer.error().empty()) {
    return Refused(absl::StrCat("the coordinator refused a report: ", answer.error()));
  }
  if (answer.sequence() > last_sequence_) {
    // An earlier process may have sent records that its spool lacks: the damaged end of the spool
    // had them, or a full disk never took them. The spool is then older than the coordinator's
    // data. For a lease of this process, such an answer makes no sense.
    spdlog::warn("{}: report {} was acknowledged, but {} is the last that is known here",
                 ToString(key()), answer.sequence(), last_sequence_);
    if (!taken_up_) return;
  }
  // A number below the front's is an old acknowledgement. A number above all sent ones comes from
  // before a reconnection. Commits keep their place.
  for (auto it = queue_.begin(); it != queue_.end();) {
    const uint64_t sequence = SequenceOf(*it);
    if (sequence > answer.sequence()) break;
    if (sequence == 0) {
      ++it;
      continue;
    }
    it = queue_.erase(it);
    if (sent_ > 0) --sent_;
  }
  Advance();
}

void LeaseReporter::CallFront() {
  if (calling_) return;
  calling_ = true;
  if (auto* complete = std::get_if<v1::CompleteJobRequest>(&queue_.front())) {
    complete->set_checkpoint_step(committed_step_);
  }
  call_ = session_->Call(absl::StrCat(NameOf(queue_.front()), " of ", ToString(key())),
                         CallFor(queue_.front(), environment_->coordinator, config_.upload_root()),
                         [this](absl::Status status) { OnAnswered(status); });
}

void LeaseReporter::OnAnswered(const absl::Status& status) {
  calling_ = false;
  const SpoolRecord record = std::move(queue_.front());
  queue_.pop_front();
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    return Lost(std::string(status.message()));
  }
  if (status.ok()) {
    if (const auto* commit = std::get_if<v1::CommitCheckpointRequest>(&record)) {
      OnCommitted(*commit);
    }
    if (IsEnd(record)) return Finish();
    return Advance();
  }
  const std::string reason =
      absl::StrCat("the coordinator refused ", NameOf(record), ": ", status.message());
  const bool left_out = absl::IsFailedPrecondition(status) || absl::IsDataLoss(status) ||
                        absl::IsAlreadyExists(status);
  if (left_out && std::holds_alternative<v1::CommitCheckpointRequest>(record)) {
    // Training loses nothing by a checkpoint that does not count. Such a checkpoint may come before
    // the row of its step (after a preemption), may have been uploaded and removed by an earlier
    // process, or may have a name that is taken. If it was the last one, the completion will be
    // refused.
    spdlog::warn("{}: {}", ToString(key()), reason);
    left_out_ = std::get<v1::CommitCheckpointRequest>(record);
    return Advance();
  }
  if (const auto* completion = std::get_if<v1::CompleteJobRequest>(&record)) {
    // The file was acknowledged and is gone: the coordinator's disk lost it. The next attempt
    // computes it again.
    if (absl::IsDataLoss(status)) return RefusedUncharged(std::string(status.message()));
    if (absl::IsFailedPrecondition(status) && left_out_.has_value() &&
        left_out_->step() == completion->step()) {
      return LookAtFile(*left_out_, reason);
    }
  }
  if (std::holds_alternative<v1::FailJobRequest>(record) ||
      std::holds_alternative<v1::ReleaseLeaseRequest>(record)) {
    // No weaker report exists. The lease will expire by itself.
    spdlog::error("{}: {}", ToString(key()), reason);
    return Finish();
  }
  Refused(reason);
}

void LeaseReporter::OnCommitted(const v1::CommitCheckpointRequest& commit) {
  spdlog::debug("{}: checkpoint of step {} is committed", ToString(key()), commit.step());
  committed_step_ = commit.step();
  if (config_.checkpoints.shared) return;
  const std::string superseded = std::exchange(uploaded_, commit.path());
  // The path came from the trainer.
  if (superseded.empty() || !IsSafeRelativePath(superseded)) return;
  environment_->background([superseded, place = config_.checkpoints] {
    const auto folder = ScratchOf(place);
    const absl::Status removed =
        folder.ok() ? RemoveScratchFile(**folder, superseded) : folder.status();
    if (!removed.ok()) spdlog::warn("{}", removed.ToString());
  });
}

// If the file is intact here, the coordinator sees another folder than this worker. A setting is
// wrong, every attempt would end like this, and the failure is charged. A file that was damaged
// between writing and commit (a crash of this machine, its disk) is the fault of neither.
void LeaseReporter::LookAtFile(const v1::CommitCheckpointRequest& last, const std::string& reason) {
  environment_->background(
      [place = config_.checkpoints, file = JoinPath(config_.checkpoints.root, last.path()),
       digest = last.digest(), done = callbacks_.Bind([this, reason](const absl::Status& status) {
         if (finished_) return;
         const bool damaged = absl::IsNotFound(status) || absl::IsDataLoss(status);
         if (!damaged) return Refused(reason);
         RefusedUncharged(absl::StrCat("its last checkpoint was damaged before it was committed: ",
                                       status.message()));
       })] { done(VerifyCheckpoint(place, file, digest)); });
}

void LeaseReporter::RefusedUncharged(const std::string& reason) {
  spdlog::error("{}: {}", ToString(key()), reason);
  DropAll();
  ended_ = false;
  ReleaseLost(reason);
}

void LeaseReporter::Refused(const std::string& reason) {
  spdlog::error("{}: {}", ToString(key()), reason);
  const uint32_t step = step_;
  DropAll();
  ended_ = false;
  Fail(step, FailureKind::kInternal, reason, "");
  hooks_.on_refused(reason);
}

void LeaseReporter::Lost(const std::string& reason) {
  if (finished_) return;
  DropAll();
  ended_ = true;
  hooks_.on_lost(reason);
  Finish();
}

void LeaseReporter::Abandon() {
  if (finished_) return;
  DropAll();
  ended_ = true;
  Finish();
}

void LeaseReporter::DropAll() {
  ++generation_;
  backlog_.clear();
  queue_.clear();
  sent_ = 0;
  if (calling_) session_->Cancel(call_);
  calling_ = false;
}

void LeaseReporter::Finish() {
  finished_ = true;
  // A flush in flight must not create the file again after its removal.
  if (flushing_) return;
  // The folder's name came over the network or from a file.
  const bool has_scratch =
      !config_.checkpoints.shared && IsSafeRelativePath(lease_.checkpoint_dir());
  environment_->background([path = spool_path_, place = config_.checkpoints,
                            scratch = has_scratch ? lease_.checkpoint_dir() : "",
                            done = callbacks_.Bind([this] { hooks_.on_finished(); })] {
    absl::Status removed = RemoveFile(path);
    if (removed.ok() && !scratch.empty()) {
      const auto folder = ScratchOf(place);
      removed = folder.ok() ? RemoveScratch(**folder, scratch) : folder.status();
    }
    if (!removed.ok()) spdlog::warn("{}", removed.ToString());
    done();
  });
}

}  // namespace coppice::worker
