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
#include "common/base/failure_kind.h"
#include "coppice/v1/coordinator.pb.h"
#include "worker/daemon/checkpoint_place.h"
#include "worker/daemon/sequence.h"
#include "worker/daemon/session.h"
#include "worker/daemon/spool.h"

namespace coppice::worker {

// Identifies an attempt: job, attempt number.
using LeaseKey = std::pair<uint64_t, uint64_t>;
inline LeaseKey KeyOf(const v1::LeaseRef& lease) { return {lease.job_id(), lease.attempt()}; }
std::string ToString(const LeaseKey& key);

// Purpose: reports everything of one attempt, in one order. Rows, log and provenance go over the
// stream. A commit is sent once every row before it is acknowledged. The end (complete, fail,
// release) is sent once everything before it is.
// Owner: the Agent, which shares it with the PackRun that feeds it.
// Threads: it lives on the agent's sequence.
// A record goes through these stages:
//   1. Backlog: the trainer has reported it.
//   2. Spool: it is written and synced in the background, many records at a time.
//   3. Queue: a stream message may be sent; a call waits until it is at the front.
//   4. Acknowledged or answered: it is dropped. After the answer to the end, the spool is removed
//      and `on_finished` comes.
// Durability: a record is on disk before it is sent, so a restarted daemon resends it. If the disk
// refuses the spool, reports go on from memory. A crash then loses only reports behind the last
// commit, and the next attempt computes them again.
// Failure codes of the coordinator: ABORTED or NOT_FOUND ends the lease (`on_lost`).
// FAILED_PRECONDITION or DATA_LOSS for a commit leaves that checkpoint out. DATA_LOSS for the
// completion releases the lease uncharged; so does FAILED_PRECONDITION if the last checkpoint was
// left out and its file is damaged. Other refusals fail the attempt (`on_refused`).
class LeaseReporter {
 public:
  struct Hooks {
    // There may be something new for the stream.
    std::function<void()> on_sendable;
    // The worker has lost the lease. Unsent reports are dropped. `on_finished` follows.
    std::function<void(const std::string& reason)> on_lost;
    // The coordinator has refused a report for good, so the attempt cannot succeed.
    std::function<void(const std::string& reason)> on_refused;
    // Nothing is left to report. Called last.
    std::function<void()> on_finished;
  };
  struct Config {
    std::string spool_dir;
    CheckpointPlace checkpoints;  // the folder of the committed files
    // The folder that files are uploaded from. Empty: the coordinator reads the files itself.
    std::string upload_root() const { return checkpoints.shared ? "" : checkpoints.root; }
  };

  LeaseReporter(const Environment* environment, Session* session, const Config& config,
                v1::Lease lease, Hooks hooks);
  // Takes up the records that an earlier process left in a spool file.
  LeaseReporter(const Environment* environment, Session* session, const Config& config,
                SpoolContents contents, Hooks hooks);
  LeaseReporter(const LeaseReporter&) = delete;
  LeaseReporter& operator=(const LeaseReporter&) = delete;

  const v1::Lease& lease() const { return lease_; }
  LeaseKey key() const { return KeyOf(lease_.lease()); }
  // No more reports are taken: the end is reported, or the lease is lost.
  bool ended() const { return ended_; }
  bool finished() const { return finished_; }
  // The step of the last reported commit, or of the attempt's start.
  uint32_t checkpoint_step() const { return checkpoint_step_; }

  // For heartbeats.
  void SetProgress(uint32_t step, double steps_per_second);
  v1::HeldLease Held() const;
  void set_slot(uint32_t slot) { slot_ = slot; }

  // After the end, these calls are ignored.
  void Row(v1::MetricRow row);
  void Log(const std::string& text);
  void Provenance(const std::string& json, uint32_t start_step);
  void Commit(uint32_t step, const std::string& path, const std::string& digest, uint64_t bytes);
  void Complete(uint32_t step);
  void Fail(uint32_t step, FailureKind kind, absl::string_view message, absl::string_view log_tail);
  // `out_of_memory_width`: the width of a pack that did not fit into the device's memory; 0 for any
  // other reason.
  void Release(absl::string_view reason, uint32_t out_of_memory_width = 0);
  // The lease ends before a trainer was started, so it does not count as an attempt.
  void ReleaseUntrained(absl::string_view reason);
  // The lease is released so that the next grants have packs of `best_width`.
  void ReleaseForWidth(absl::string_view reason, uint32_t best_width);
  // The process that held the lease has exited without a last checkpoint.
  void ReleaseLost(absl::string_view reason);
  // The trainer could not read the file to resume from. If the file was damaged after its check,
  // the job is not at fault: the lease is released as lost, and the next worker rejects the
  // checkpoint. Otherwise the attempt has failed.
  void FailResume(const std::string& file, const std::string& digest, uint32_t step,
                  const std::string& message, const std::string& log_tail);
  // Drops everything, because the worker has lost the lease. `on_lost` is not called.
  void Abandon();

  // For the stream: the next message that was not yet sent on the present stream; null if there is
  // none.
  const v1::StreamMetricsRequest* NextToSend() const;
  void MarkSent();
  uint64_t unacknowledged() const { return sent_; }
  // A new stream opens, so everything unacknowledged is sent again.
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
  // The completion was refused. `last` is the last checkpoint, which was left out.
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

  // Shared with the background while a flush is in flight. Null once the disk has refused it.
  std::shared_ptr<Spool> spool_;
  std::string spool_path_;
  bool spool_wanted_ = true;
  bool flushing_ = false;
  uint64_t generation_ = 0;  // of the records; a flush of an earlier generation is void
  std::vector<SpoolRecord> backlog_;
  bool taken_up_ = false;  // from an earlier process's spool
  std::deque<SpoolRecord> queue_;
  uint64_t sent_ =
      0;  // stream messages at the front of the queue that are sent but not acknowledged
  bool calling_ = false;
  Session::CallId call_ = 0;
  std::string uploaded_;  // the newest uploaded file, if it is not removed yet
};

}  // namespace coppice::worker

#endif  // COPPICE_WORKER_DAEMON_LEASE_REPORTER_H_
