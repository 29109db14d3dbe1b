#ifndef COPPICE_CLI_SWEEP_MODEL_H_
#define COPPICE_CLI_SWEEP_MODEL_H_

#include <map>
#include <vector>

#include "absl/status/status.h"
#include "cli/client.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// The known state of one sweep: its summary, groups and, unless there are too many, its jobs. Not
// thread-safe.
class SweepModel {
 public:
  // Beyond this number of jobs, only the summary and the groups are kept.
  static constexpr uint64_t kMaxJobs = 20'000;

  // Loads everything anew.
  absl::Status Load(Client* client, const std::string& sweep);
  // The same with only the points, and their jobs, that `filter` selects. The summary remains that
  // of the whole sweep.
  absl::Status LoadPoints(Client* client, const v1::JobFilter& filter);

  struct Change {
    bool is_job = false;
    v1::Job before;  // with state JOB_STATE_UNSPECIFIED if the job was not known
    v1::Job now;
  };
  Change Apply(const v1::WatchSweepResponse& update);
  // Takes steps and metrics of jobs that were listed again. A job whose state or attempt has
  // changed since then is skipped: its own update follows.
  void Refresh(const std::vector<v1::Job>& listed);

  const v1::SweepSummary& summary() const { return sweep_.sweep(); }
  const v1::GetSweepResponse& sweep() const { return sweep_; }
  const std::map<uint64_t, v1::Job>& jobs() const { return jobs_; }
  bool has_jobs() const { return has_jobs_; }
  // Whether points were left out, by LoadPoints.
  bool narrowed() const { return narrowed_; }

 private:
  v1::GetSweepResponse sweep_;
  std::map<uint64_t, v1::Job> jobs_;
  bool has_jobs_ = false;
  bool narrowed_ = false;
};

// Gets the newest value of a metric; false if the job has none.
bool LatestMetric(const v1::Job& job, const std::string& name, double* value);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_SWEEP_MODEL_H_
