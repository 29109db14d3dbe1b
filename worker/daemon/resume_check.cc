#include "worker/daemon/resume_check.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

// Gives a file that may be removed at any time a second name, if it exists and the filesystem
// supports it.
absl::Status Keep(const std::string& file, const std::string& name) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(name.substr(0, name.rfind('/'))));
  // After an error the name is unused, or names an older file. The digest decides.
  [[maybe_unused]] const int linked = ::link(file.c_str(), name.c_str());
  return absl::OkStatus();
}

// Codes as of VerifyCheckpoint.
absl::Status VerifyFile(const CheckpointPlace& place, const v1::Checkpoint& checkpoint,
                        const std::string& file) {
  COPPICE_RETURN_IF_ERROR(CheckThere(place));
  const std::string left = JoinPath(place.root, checkpoint.path());
  if (file != left) COPPICE_RETURN_IF_ERROR(Keep(left, file));
  return VerifyCheckpoint(place, file, checkpoint.digest());
}

}  // namespace

ResumeCheck::ResumeCheck(const Environment* environment, Session* session,
                         const CheckpointPlace& place, const v1::Lease& lease, Done done)
    : environment_(environment),
      session_(session),
      place_(place),
      lease_(lease.lease()),
      checkpoint_dir_(lease.checkpoint_dir()),
      done_(std::move(done)),
      callbacks_(environment->main) {
  if (lease.has_resume()) resume_ = lease.resume();
}

ResumeCheck::~ResumeCheck() { session_->Cancel(call_); }

std::string ResumeCheck::file() const {
  if (!resume_) return "";
  if (place_.shared) return JoinPath(place_.root, resume_->path());
  // Programs may need the suffix, and it tells an archive from a file.
  const std::string& path = resume_->path();
  const size_t begin = path.rfind('/') + 1;
  const size_t suffix = std::min(path.find('.', begin), path.size());
  const std::string name = absl::StrCat("resume-attempt-", resume_->attempt(), "-step-",
                                        resume_->step(), path.substr(suffix));
  return JoinPath(JoinPath(place_.root, checkpoint_dir_), name);
}

void ResumeCheck::Check() {
  if (!resume_) {
    environment_->main(callbacks_.Bind([this] { Finish(absl::OkStatus()); }));
    return;
  }
  if (!IsSafeRelativePath(resume_->path())) return Reject("its path is not a relative one");
  environment_->background([place = place_, checkpoint = *resume_, file = file(),
                            done = callbacks_.Bind([this](absl::Status status) {
                              OnChecked(status);
                            })] { done(VerifyFile(place, checkpoint, file)); });
}

void ResumeCheck::OnChecked(const absl::Status& status) {
  if (status.ok()) return Finish(status);
  const bool bad = absl::IsNotFound(status) || absl::IsDataLoss(status);
  if (bad && !place_.shared && !downloaded_) return Download();
  if (!bad) return Finish(status);
  Reject(std::string(status.message()));
}

void ResumeCheck::Download() {
  v1::DownloadCheckpointRequest request;
  *request.mutable_lease() = lease_;
  request.set_step(resume_->step());
  request.set_path(resume_->path());
  const auto make = [environment = environment_, request, file = file(), bytes = resume_->bytes()](
                        const std::string& worker_id,
                        std::function<void(absl::Status)> answer) mutable {
    request.set_worker_id(worker_id);
    environment->coordinator->DownloadCheckpoint(request, bytes, file, std::move(answer));
  };
  call_ = session_->Call("a checkpoint's download", make, [this](absl::Status status) {
    if (absl::IsAborted(status)) return Finish(status);
    downloaded_ = true;
    if (status.ok()) return Check();
    OnChecked(status);
  });
}

void ResumeCheck::Reject(const std::string& reason) {
  spdlog::warn("job {} (attempt {}): the checkpoint of step {} cannot be resumed from: {}",
               lease_.job_id(), lease_.attempt(), resume_->step(), reason);
  v1::RejectCheckpointRequest request;
  *request.mutable_lease() = lease_;
  request.set_step(resume_->step());
  request.set_path(resume_->path());
  request.set_reason(reason);
  auto response = std::make_shared<v1::RejectCheckpointResponse>();
  const auto make = [environment = environment_, request, response](
                        const std::string& worker_id,
                        std::function<void(absl::Status)> answer) mutable {
    request.set_worker_id(worker_id);
    environment->coordinator->RejectCheckpoint(
        request, [response, answer](absl::StatusOr<v1::RejectCheckpointResponse> result) {
          if (result.ok()) *response = *result;
          answer(result.status());
        });
  };
  call_ = session_->Call("a checkpoint's rejection", make, [this, response](absl::Status status) {
    if (absl::IsNotFound(status)) status = absl::AbortedError(status.message());
    if (!status.ok()) return Finish(status);
    // A coordinator that names a rejected checkpoint again would keep this check running
    // forever. The set has paths, because two attempts may each have a checkpoint of the same
    // step.
    rejected_.insert(resume_->path());
    if (response->has_resume() && (response->resume().step() > resume_->step() ||
                                   rejected_.contains(response->resume().path()))) {
      return Finish(absl::InternalError("the coordinator names a rejected checkpoint again"));
    }
    resume_.reset();
    if (response->has_resume()) resume_ = response->resume();
    downloaded_ = false;
    Check();
  });
}

void ResumeCheck::Finish(absl::Status status) { done_(std::move(status), resume_); }

}  // namespace coppice::worker
