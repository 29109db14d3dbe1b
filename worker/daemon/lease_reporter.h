#ifndef COPPICE_WORKER_DAEMON_LEASE_REPORTER_H_
#define COPPICE_WORKER_DAEMON_LEASE_REPORTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/checkpoint_place.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// (job, attempt): one attempt.
using LeaseKey = std::pair<uint64_t, uint64_t>;
inline LeaseKey KeyOf(const v1::LeaseRef& lease) { return {lease.job_id(), lease.attempt()}; }
std::string ToString(const LeaseKey& key);

// Purpose: everything one attempt has to report, in one order: rows, log and provenance go over the
// stream; a commit is sent once every row before it is acknowledged; the end (complete, fail,
// release) once everything is. Owned by the Agent, and shared with the PackRun that feeds it. Lives
// on the agent's sequence. A record goes through these stages:
//   1. backlog: told by the trainer;
//   2. written to the spool and synced, many records at a time, in the background;
//   3. queue: streamed messages may be sent, calls wait for their turn at the front;
//   4. acknowledged or answered, and gone. With the end answered the spool is removed and
//   `on_finished` comes.
// Durability: what is sent is on disk before, so a daemon that starts again resends it. On a disk
// that refuses the spool, reports go on from memory: what a crash then loses lies behind the last
// commit, and the next attempt computes it again.
// Failure codes of the coordinator: ABORTED or NOT_FOUND end the lease (`on_lost`);
// FAILED_PRECONDITION or DATA_LOSS for a commit leaves the checkpoint out; DATA_LOSS for the
// completion, or FAILED_PRECONDITION where the last checkpoint was left out and its file is
// damaged, gives the lease back uncharged; other refusals fail the attempt (`on_refused`).
class LeaseReporter {
 public:
  struct Hooks {
    // There may be something new for the stream.
    std::function<void()> on_sendable;
    // The lease is no longer ours; what was unsent is dropped. `on_finished` follows.
    std::function<void(const std::string& reason)> on_lost;
    // The coordinator refused a report for good: the attempt cannot succeed.
    std::function<void(const std::string& reason)> on_refused;
    // Nothing is left to report. Called last.
    std::function<void()> on_finished;
  };
  struct Config {
    std::string spool_dir;
    CheckpointPlace checkpoints;  // where the files of commits lie
    // Where they are uploaded from; empty: the coordinator sees them itself.
    std::string upload_root() const { return checkpoints.shared ? "" : checkpoints.root; }
  };

  LeaseReporter(const Environment* environment, Session* session, const Config& config,
                v1::Lease lease, Hooks hooks);
  // Takes up what an earlier process left in a spool file.
  LeaseReporter(const Environment* environment, Session* session, const Config& config,
                SpoolContents contents, Hooks hooks);
  LeaseReporter(const LeaseReporter&) = delete;
  LeaseReporter& operator=(const LeaseReporter&) = delete;

  const v1::Lease& lease() const { return lease_; }
  LeaseKey key() const { return KeyOf(lease_.lease()); }
  // No more reports are taken: the end is told, or the lease is lost.
  bool ended() const { return ended_; }
  bool finished() const { return finished_; }
  // Of the last commit that was told, or of the attempt's start.
  uint32_t checkpoint_step() const { return checkpoint_step_; }

  // For heartbeats.
  void SetProgress(uint32_t step, double steps_per_second);
  v1::HeldLease Held() const;
  void set_slot(uint32_t slot) { slot_ = slot; }

  // After the end these are ignored.
  void Row(v1::MetricRow row);
  void Log(const std::string& text);
  void Provenance(const std::string& json, uint32_t start_step);
  void Commit(uint32_t step, const std::string& path, const std::string& digest, uint64_t bytes);
  void Complete(uint32_t step);
  void Fail(uint32_t step, absl::string_view kind, absl::string_view message,
            absl::string_view log_tail);
  // `out_of_memory_width`: of a pack that was too wide for the device; 0: for any other reason.
  void Release(absl::string_view reason, uint32_t out_of_memory_width = 0);
  // Before a trainer was started: it was no attempt.
  void ReleaseUntrained(absl::string_view reason);
  // For a pack of another width, which the next grants should have.
  void ReleaseForWidth(absl::string_view reason, uint32_t best_width);
  // The process that held the lease has gone, and saved nothing at its end.
  void ReleaseLost(absl::string_view reason);
  // The trainer could not read the file it was to resume from. One that has been damaged since it
  // was checked is no fault of the job: the lease goes back as lost, and the next worker rejects
  // the checkpoint. Otherwise the attempt has failed.
  void FailResume(const std::string& file, const std::string& digest, uint32_t step,
                  const std::string& message, const std::string& log_tail);
  // The lease is not ours any more: drops everything. `on_lost` is not called.
  void Abandon();

  // For the stream: the next message that was not sent on the present one, null when there is none.
  const v1::StreamMetricsRequest* NextToSend() const;
  void MarkSent();
  uint64_t unacknowledged() const { return sent_; }
  // A new stream: everything unacknowledged is to be sent again.
  void OnStreamLost() { sent_ = 0; }
  void OnAnswer(const v1::StreamMetricsResponse& answer);

 private:
  void AddMessage(v1::StreamMetricsRequest message);
  void AddRelease(v1::ReleaseLeaseRequest end, absl::string_view reason);
  void Add(SpoolRecord record);
  void Flush();
  void OnFlushed(uint64_t generation, std::vector<SpoolRecord> records);
  void Advance();
  void CallFront();
  void OnAnswered(const absl::Status& status);
  void OnCommitted(const v1::CommitCheckpointRequest& commit);
  // The completion was refused; `last` is the last checkpoint and was left out.
  void LookAtFile(const v1::CommitCheckpointRequest& last, const std::string& reason);
  void Refused(const std::string& reason);
  void RefusedUncharged(const std::string& reason);
  void Lost(const std::string& reason);
  void DropAll();
  void Finish();

  const Environment* const environment_;
  Session* const session_;
  const Config config_;
  const v1::Lease lease_;
  const Hooks hooks_;
  CallbackOwner callbacks_;

  uint32_t slot_ = 0;
  uint32_t step_ = 0;
  double steps_per_second_ = 0;
  uint32_t checkpoint_step_ = 0;
  uint32_t committed_step_ = 0;  // of the last commit that was acknowledged here
  std::optional<v1::CommitCheckpointRequest> left_out_;  // the last commit that was refused
  uint64_t last_sequence_ = 0;
  bool ended_ = false;
  bool finished_ = false;

  // Shared with the background while a flush is in flight; null once the disk has refused it.
  std::shared_ptr<Spool> spool_;
  std::string spool_path_;
  bool spool_wanted_ = true;
  bool flushing_ = false;
  uint64_t generation_ = 0;  // of the records; a flush of an earlier one is void
  std::vector<SpoolRecord> backlog_;
  bool taken_up_ = false;  // from the spool of an earlier process
  std::deque<SpoolRecord> queue_;
  uint64_t sent_ =
      0;  // stream messages at the front of the queue that were sent and not acknowledged
  bool calling_ = false;
  Session::CallId call_ = 0;
  std::string uploaded_;  // the newest file that was uploaded and still lies there
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_LEASE_REPORTER_H_
