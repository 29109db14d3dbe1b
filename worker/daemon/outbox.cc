#include "worker/daemon/outbox.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/limits.h"
#include "common/base/logging.h"
#include "common/base/utf8.h"
#include "worker/daemon/attempt_records.h"

namespace coppice::worker {
namespace {

// Training goes on without such a checkpoint: its row may be missing, its file may be damaged, or
// another file may have its name.
bool LeavesOut(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsDataLoss(status) ||
         absl::IsAlreadyExists(status);
}

}  // namespace

Outbox::Outbox(const Environment* environment, Session* session, const Place& place,
               const v1::Lease& lease, Hooks hooks)
    : environment_(environment),
      lease_(lease),
      spool_path_(JoinPath(place.spool_dir, SpoolFileName(lease_.lease()))),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      uploader_(environment, session, place.checkpoints, lease_) {
  // The file exists from the grant on, so that a restarted daemon knows which leases to give back.
  Flush();
}

Outbox::Outbox(const Environment* environment, Session* session, const Place& place,
               SpoolContents contents, Hooks hooks)
    : environment_(environment),
      lease_(std::move(contents.lease)),
      spool_path_(JoinPath(place.spool_dir, SpoolFileName(lease_.lease()))),
      hooks_(std::move(hooks)),
      callbacks_(environment->main),
      uploader_(environment, session, place.checkpoints, lease_),
      last_number_(contents.records.size()),
      taken_up_(true),
      queue_(std::make_move_iterator(contents.records.begin()),
             std::make_move_iterator(contents.records.end())) {
  spool_state_ = SpoolState::kRefused;
  // A file of an earlier version stays as it is until the lease is given back.
  if (!contents.earlier_version) {
    auto spool = Spool::Continue(spool_path_, contents.valid_bytes);
    if (spool.ok()) {
      spool_ = *std::move(spool);
      spool_state_ = SpoolState::kInUse;
    }
  }
  environment_->main(callbacks_.Bind([this] { Advance(); }));
}

void Outbox::Add(v1::AttemptRecord record) {
  if (when_closed_) return;
  *record.mutable_lease() = lease_.lease();
  record.set_number(++last_number_);
  backlog_.push_back(std::move(record));
  Flush();
}

void Outbox::Flush() {
  if (flushing_ || when_closed_) return;
  flushing_ = true;
  auto records = std::make_shared<std::vector<v1::AttemptRecord>>(std::exchange(backlog_, {}));
  const auto done = callbacks_.Bind([this, generation = generation_, records](
                                        std::shared_ptr<Spool> spool, absl::Status status) {
    if (spool) spool_ = std::move(spool);
    if (!status.ok() && std::exchange(spool_state_, SpoolState::kRefused) == SpoolState::kInUse) {
      spdlog::warn("{}: {}; its records are kept in memory alone", ToString(key()),
                   status.ToString());
    }
    OnFlushed(generation, std::move(*records));
  });
  if (spool_state_ == SpoolState::kRefused) {
    environment_->main([done] { done(nullptr, absl::OkStatus()); });
    return;
  }
  environment_->background(
      [done, records, spool = spool_, path = spool_path_, lease = lease_]() mutable {
        absl::Status status;
        if (spool == nullptr) {
          auto created = Spool::Create(path, lease);
          status = created.status();
          if (created.ok()) spool = *std::move(created);
        }
        for (size_t i = 0; status.ok() && i < records->size(); ++i) {
          status = spool->Append((*records)[i]);
        }
        if (status.ok() && !records->empty()) status = spool->Sync();
        done(std::move(spool), std::move(status));
      });
}

void Outbox::OnFlushed(uint64_t generation, std::vector<v1::AttemptRecord> records) {
  flushing_ = false;
  if (when_closed_) return RemoveFiles();
  if (generation == generation_) {
    std::move(records.begin(), records.end(), std::back_inserter(queue_));
  }
  if (!backlog_.empty()) Flush();
  Advance();
}

void Outbox::Advance() {
  if (queue_.empty()) return;
  if (NeedsUpload(queue_.front())) UploadFront();
  if (NextToSend() != nullptr) hooks_.on_sendable();
}

bool Outbox::NeedsUpload(const v1::AttemptRecord& record) const {
  return record.has_checkpoint() && uploader_.needed() && record.number() > uploaded_;
}

const v1::AttemptRecord* Outbox::NextToSend() const {
  if (sent_ >= queue_.size() || NeedsUpload(queue_[sent_])) return nullptr;
  const v1::AttemptRecord& next = queue_[sent_];
  const bool too_far =
      sent_checkpoint_ != 0 && next.number() > sent_checkpoint_ + kBehindCheckpoint;
  return too_far ? nullptr : &next;
}

void Outbox::MarkSent() {
  const v1::AttemptRecord& record = queue_[sent_++];
  if (sent_checkpoint_ == 0 && record.has_checkpoint()) sent_checkpoint_ = record.number();
}

void Outbox::SetSent(uint64_t sent) {
  sent_ = sent;
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(sent);
  const auto first = std::find_if(
      queue_.begin(), end, [](const v1::AttemptRecord& record) { return record.has_checkpoint(); });
  sent_checkpoint_ = first == end ? 0 : first->number();
}

void Outbox::UploadFront() {
  if (uploader_.uploading()) return;
  uploader_.Upload(queue_.front().checkpoint(),
                   [this](const absl::Status& status) { OnUploaded(status); });
}

void Outbox::OnUploaded(const absl::Status& status) {
  if (absl::IsAborted(status) || absl::IsNotFound(status)) {
    return hooks_.on_over(std::string(status.message()));
  }
  if (!status.ok() && !LeavesOut(status)) return RefuseFront(status);
  v1::AttemptRecord& front = queue_.front();
  uploaded_ = front.number();
  if (!status.ok()) {
    front.mutable_checkpoint()->set_withdrawn(
        Utf8Head(absl::StrCat("its upload was refused: ", status.message()), kMaxMessageTextBytes));
  }
  Advance();
}

void Outbox::OnAnswer(const v1::AttemptAnswer& answer) {
  if (when_closed_) return;
  if (answer.number() > last_number_) {
    // An earlier process may have sent records that its spool lacks: the damaged end of the spool
    // had them, or a full disk never took them. For a lease of this process, such an answer makes
    // no sense.
    spdlog::warn("{}: record {} was acknowledged, but {} is the last that is known here",
                 ToString(key()), answer.number(), last_number_);
    if (!taken_up_ && !answer.over()) return;
  }
  DropDurable(answer);
  const bool ending_covered = !queue_.empty() && queue_.front().number() <= answer.number();
  if (answer.over()) {
    if (ending_covered) return hooks_.on_ending_taken();
    return hooks_.on_over("the coordinator says that its lease is over");
  }
  if (ending_covered) Renumber(answer.number());
  if (answer.has_refusal() && !queue_.empty()) {
    return RefuseFront(absl::Status(static_cast<absl::StatusCode>(answer.refusal().code()),
                                    answer.refusal().message()));
  }
  Advance();
}

// Only an ending may stay at the front with a number that the answer covers.
void Outbox::DropDurable(const v1::AttemptAnswer& answer) {
  acknowledged_ = std::max(acknowledged_, answer.number());
  while (!queue_.empty() && queue_.front().number() <= answer.number() &&
         !IsEnding(queue_.front())) {
    absl::string_view omission;
    for (const v1::Omission& entry : answer.omissions()) {
      if (entry.number() == queue_.front().number()) omission = entry.reason();
    }
    if (NeedsUpload(queue_.front())) uploader_.Cancel();
    OnDurable(queue_.front(), omission);
    queue_.pop_front();
    if (sent_ > 0) --sent_;
  }
  SetSent(sent_);
}

void Outbox::OnDurable(const v1::AttemptRecord& record, absl::string_view omission) {
  if (!record.has_checkpoint()) return;
  const uint32_t step = record.checkpoint().step();
  if (!record.checkpoint().withdrawn().empty()) omission = record.checkpoint().withdrawn();
  if (omission.empty()) {
    spdlog::debug("{}: the checkpoint of step {} counts", ToString(key()), step);
    uploader_.OnCommitted(record.checkpoint());
  } else {
    spdlog::warn("{}: the checkpoint of step {} does not count: {}", ToString(key()), step,
                 std::string(omission));
  }
}

// The attempt goes on, so its ending was not taken. The coordinator has another record of that
// number, which this process does not know: the spool is older than the coordinator's data.
void Outbox::Renumber(uint64_t last_taken) {
  last_number_ = last_taken;
  for (v1::AttemptRecord& record : queue_) record.set_number(++last_number_);
  SetSent(0);
}

void Outbox::RefuseFront(const absl::Status& status) {
  const v1::AttemptRecord refused = std::move(queue_.front());
  DropAll();
  hooks_.on_refused(refused, status);
}

void Outbox::DropAll() {
  ++generation_;
  backlog_.clear();
  queue_.clear();
  SetSent(0);
  last_number_ = acknowledged_;
  uploaded_ = acknowledged_;
  uploader_.Cancel();
}

void Outbox::Close(std::function<void()> done) {
  if (when_closed_) return;
  DropAll();
  when_closed_ = callbacks_.Bind(std::move(done));
  // A flush in flight must not create the file again after its removal.
  if (!flushing_) RemoveFiles();
}

void Outbox::RemoveFiles() {
  environment_->background(
      [path = spool_path_, remove_folder = uploader_.RemovalOfFolder(), done = when_closed_] {
        absl::Status removed = RemoveFile(path);
        if (removed.ok()) removed = remove_folder();
        if (!removed.ok()) spdlog::warn("{}", removed.ToString());
        done();
      });
}

}  // namespace coppice::worker
