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

// One check in progress. Owner: its callbacks, of which one is pending at a time.
class Check : public std::enable_shared_from_this<Check> {
 public:
  Check(const TransferContext& context, core::NamedCheckpoint checkpoint,
        std::weak_ptr<const void> caller, std::function<void(std::string)> done)
      : context_(context),
        checkpoint_(std::move(checkpoint)),
        caller_(std::move(caller)),
        done_(std::move(done)) {}

  void CheckFile() {
    if (caller_.expired()) return;
    context_.disk->Run(
        checkpoint_.path,
        [files = context_.files, path = checkpoint_.path,
         bytes = checkpoint_.bytes]() -> absl::Status {
          COPPICE_RETURN_IF_ERROR(files->CheckNoLink(path));
          return CheckCheckpointFile(files->PathOf(path), bytes);
        },
        [self = shared_from_this()](absl::Status seen) { self->FileChecked(std::move(seen)); });
  }

 private:
  void FileChecked(absl::Status seen) {
    if (seen.ok()) return done_("");
    if (absl::IsDeadlineExceeded(seen) || absl::IsUnavailable(seen)) return CheckAfter(kDiskPause);
    seen_ = std::move(seen);
    // A worker that must not commit, or need not, gets its answer at once.
    checks_ == 0 ? AskCore() : CheckAgain();
  }

  void CheckAgain() {
    if (checks_ == std::size(kPauses)) return done_(Fault());
    CheckAfter(kPauses[checks_++]);
  }

  void CheckAfter(absl::Duration pause) {
    context_.clock->Schedule(pause, [self = shared_from_this()] { self->CheckFile(); });
  }

  void AskCore() {
    context_.core->CheckLease(checkpoint_.worker_id, checkpoint_.lease,
                              [self = shared_from_this()](const absl::Status& current) {
                                if (absl::IsAborted(current)) return self->done_("");
                                self->FindOvertaker();
                              });
  }

  void FindOvertaker() {
    context_.core->GetJob(
        {}, checkpoint_.lease.job_id,
        [self = shared_from_this()](const absl::StatusOr<core::JobDetails>& details) {
          const auto overtakes = [&](const core::Checkpoint& checkpoint) {
            return checkpoint.attempt == self->checkpoint_.lease.attempt &&
                   checkpoint.step > self->checkpoint_.step;
          };
          if (details.ok() &&
              std::any_of(details->checkpoints.begin(), details->checkpoints.end(), overtakes)) {
            return self->done_("");
          }
          self->CheckAgain();
        });
  }

  std::string Fault() const {
    return absl::StrCat(
        "the coordinator does not see the checkpoint of step ", checkpoint_.step, " of job ",
        checkpoint_.lease.job_id, " as its worker does (", seen_.message(),
        "): --checkpoint-dir of worker and coordinator must be the same folder of one filesystem; "
        "without it on the worker, checkpoints travel over the connection");
  }

  const TransferContext context_;
  const core::NamedCheckpoint checkpoint_;
  const std::weak_ptr<const void> caller_;
  const std::function<void(std::string)> done_;
  size_t checks_ = 0;
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

void CheckCommittedFile(const TransferContext& context, core::NamedCheckpoint checkpoint,
                        std::weak_ptr<const void> caller,
                        std::function<void(std::string left_out)> done) {
  std::make_shared<Check>(context, std::move(checkpoint), std::move(caller), std::move(done))
      ->CheckFile();
}

}  // namespace coppice::service
