#include "coordinator/service/commit_check.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice::service {
namespace {

// The pauses between failed checks.
constexpr absl::Duration kPauses[] = {absl::Milliseconds(250), absl::Seconds(1), absl::Seconds(2)};

// One commit in progress. Owner: its callbacks, of which one is pending at a time.
class Check : public std::enable_shared_from_this<Check> {
 public:
  Check(const TransferContext& context, core::CheckpointCommit commit,
        core::Coordinator::DoneStatus done)
      : context_(context), commit_(std::move(commit)), done_(std::move(done)) {}

  void Look() {
    context_.disk->Run(
        commit_.path,
        [files = context_.files, path = commit_.path, bytes = commit_.bytes]() -> absl::Status {
          COPPICE_RETURN_IF_ERROR(files->CheckNoLink(path));
          return CheckCheckpointFile(files->PathOf(path), bytes);
        },
        [self = shared_from_this()](absl::Status seen) { self->Looked(std::move(seen)); });
  }

 private:
  void Looked(absl::Status seen) {
    if (seen.ok()) return context_.core->CommitCheckpoint(commit_, done_);
    // The disk does not answer, or the server ends. Neither says anything about the file.
    if (absl::IsDeadlineExceeded(seen) || absl::IsUnavailable(seen)) return done_(std::move(seen));
    seen_ = std::move(seen);
    // A worker that must not commit, or need not, gets its answer at once.
    looks_ == 0 ? AskCore() : LookAgain();
  }

  void LookAgain() {
    if (looks_ == std::size(kPauses)) return done_(Refusal());
    context_.clock->Schedule(kPauses[looks_++], [self = shared_from_this()] { self->Look(); });
  }

  void AskCore() {
    context_.core->CheckLease(commit_.worker_id, commit_.lease,
                              [self = shared_from_this()](absl::Status current) {
                                if (!current.ok()) return self->done_(std::move(current));
                                self->FindOvertaker();
                              });
  }

  void FindOvertaker() {
    context_.core->GetJob(
        {}, commit_.lease.job_id,
        [self = shared_from_this()](const absl::StatusOr<core::JobDetails>& details) {
          if (!details.ok()) return self->done_(details.status());
          const auto overtakes = [&](const core::Checkpoint& checkpoint) {
            return checkpoint.attempt == self->commit_.lease.attempt &&
                   checkpoint.step > self->commit_.step;
          };
          if (std::any_of(details->checkpoints.begin(), details->checkpoints.end(), overtakes)) {
            return self->done_(absl::OkStatus());
          }
          self->LookAgain();
        });
  }

  absl::Status Refusal() const {
    return absl::FailedPreconditionError(absl::StrCat(
        "the coordinator does not see the checkpoint of step ", commit_.step, " of job ",
        commit_.lease.job_id, " as its worker does (", seen_.message(),
        "): --checkpoint-dir of worker and coordinator must be the same folder of one filesystem; "
        "without it on the worker, checkpoints travel over the connection"));
  }

  const TransferContext context_;
  const core::CheckpointCommit commit_;
  const core::Coordinator::DoneStatus done_;
  size_t looks_ = 0;
  absl::Status seen_;
};

}  // namespace

absl::Status CheckCheckpointFile(const std::string& path, uint64_t bytes) {
  // Opening, unlike stat, makes a network filesystem ask its server.
  const absl::StatusOr<RegularFile> file = RegularFile::Open(path, O_NOFOLLOW);
  if (absl::IsInvalidArgument(file.status())) {
    return absl::FailedPreconditionError(file.status().message());
  }
  if (!file.ok()) return file.status();
  if (file->size() == bytes) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " has ", file->size(), " bytes instead of ", bytes));
}

void CommitFromSharedFolder(const TransferContext& context, core::CheckpointCommit commit,
                            core::Coordinator::DoneStatus done) {
  std::make_shared<Check>(context, std::move(commit), std::move(done))->Look();
}

}  // namespace coppice::service
