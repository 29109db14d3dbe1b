#include "cli/tensorboard.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cli/tfrecord.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/spec/axes.h"
#include "coppice/tensorboard/event.pb.h"

namespace coppice::cli {
namespace {

constexpr char kFileVersion[] = "brain.Event:2";
constexpr char kEventsMark[] = "tfevents";
// As tensorboard/plugins/hparams/metadata.py names them.
constexpr char kHParamsPlugin[] = "hparams";
constexpr char kHParamsTag[] = "_hparams_/session_start_info";

// Finds the job, for its run's file name and events.
absl::StatusOr<v1::Job> FindJob(Client* client, const std::string& sweep, uint64_t id) {
  v1::JobFilter filter;
  filter.set_sweep(sweep);
  filter.add_job_ids(id);
  std::optional<v1::Job> found;
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    for (const v1::Job& job : page.jobs()) found = job;
    return !found.has_value();
  }));
  if (found.has_value()) return *std::move(found);
  return absl::NotFoundError(absl::StrCat("job ", id, " of ", sweep, " has gone"));
}

absl::Status CheckNoOtherEvents(const std::string& folder, const std::string& file) {
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(folder));
  for (const std::string& name : names) {
    // A temporary file of a killed export is removed below, so that it is not read as other events.
    if (name == file || !absl::StrContains(name, kEventsMark)) continue;
    absl::string_view rest = name;
    if (absl::ConsumePrefix(&rest, file) && NameFits(rest, ".tmp-#-#")) {
      COPPICE_RETURN_IF_ERROR(RemoveFile(JoinPath(folder, name)));
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " holds events of another run (", name,
                     "), which TensorBoard would mix with these; choose another folder with -o"));
  }
  return absl::OkStatus();
}

tensorboard::HParam HParamOf(const std::string& text) {
  tensorboard::HParam param;
  double number = 0;
  if (absl::SimpleAtod(text, &number) && std::isfinite(number))
    param.set_number_value(number);
  else if (text == "true" || text == "false")
    param.set_bool_value(text == "true");
  else
    param.set_string_value(text);
  return param;
}

// The place of a job on the axes of its sweep, for TensorBoard's table of hyperparameters.
tensorboard::Event HParamsEvent(const v1::JobMetrics& row, double start_seconds) {
  tensorboard::HParamsPluginData data;
  tensorboard::SessionStartInfo* session = data.mutable_session_start_info();
  const auto add = [&](const std::string& name, const std::string& value) {
    tensorboard::HParamEntry* entry = session->add_hparams();
    entry->set_key(name);
    *entry->mutable_value() = HParamOf(value);
  };
  for (const v1::Coordinate& coordinate : row.point()) add(coordinate.axis(), coordinate.value());
  add("seed", absl::StrCat(row.seed()));
  session->set_group_name(spec::PointText(row.point(), row.task(), row.depth()));
  session->set_start_time_secs(start_seconds);
  tensorboard::Event event;
  event.set_wall_time(start_seconds);
  tensorboard::Summary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(kHParamsTag);
  tensorboard::SummaryMetadata::PluginData* plugin =
      value->mutable_metadata()->mutable_plugin_data();
  plugin->set_plugin_name(kHParamsPlugin);
  plugin->set_content(data.SerializeAsString());
  return event;
}

// Purpose: writes the rows of one job after another into files. Owner: ExportTensorBoard. Not
// thread-safe. The rows of a job must be contiguous.
class RunWriter {
 public:
  RunWriter(Client* client, std::string sweep, std::string directory)
      : client_(client), sweep_(std::move(sweep)), directory_(std::move(directory)) {}

  absl::Status Add(const v1::JobMetrics& row) {
    if (!file_.has_value() || row.job_id() != job_id_) {
      COPPICE_RETURN_IF_ERROR(Finish());
      COPPICE_RETURN_IF_ERROR(Begin(row));
    }
    tensorboard::Event event;
    event.set_wall_time(wall_time_);
    event.set_step(row.row().step());
    for (const v1::MetricValue& metric : row.row().values()) {
      tensorboard::Summary::Value* value = event.mutable_summary()->add_value();
      value->set_tag(TensorBoardTag(metric.name()));
      value->set_simple_value(static_cast<float>(metric.value()));
      ++done_.points;
    }
    return Append(event);
  }

  // Moves the open file, if any, into place.
  absl::Status Finish() {
    if (!file_.has_value()) return absl::OkStatus();
    COPPICE_RETURN_IF_ERROR(file_->Commit());
    file_.reset();
    ++done_.runs;
    return absl::OkStatus();
  }

  const TensorBoardExport& done() const { return done_; }

 private:
  absl::Status Begin(const v1::JobMetrics& row) {
    COPPICE_ASSIGN_OR_RETURN(const v1::Job job, FindJob(client_, sweep_, row.job_id()));
    const std::string run =
        row.point().empty() ? absl::StrCat(row.task(), "/depth-", row.depth(), "/seed-", row.seed())
                            : spec::JobText(row.point(), row.task(), row.depth(), row.seed());
    const int64_t start_ms = job.started_ms() != 0 ? job.started_ms() : job.created_ms();
    const std::string name =
        absl::StrFormat("events.out.%s.%010d.%s", kEventsMark, start_ms / 1'000, sweep_);
    if (!IsSafeRelativePath(JoinPath(run, name)))
      return absl::InternalError(absl::StrCat("'", run, "' cannot be the name of a folder"));
    const std::string folder = JoinPath(directory_, run);
    COPPICE_RETURN_IF_ERROR(MakeDirectories(folder));
    COPPICE_RETURN_IF_ERROR(CheckNoOtherEvents(folder, name));
    COPPICE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(JoinPath(folder, name)));
    file_.emplace(std::move(file));
    job_id_ = row.job_id();
    wall_time_ = static_cast<double>(start_ms) / 1e3;
    tensorboard::Event version;
    version.set_wall_time(wall_time_);
    version.set_file_version(kFileVersion);
    COPPICE_RETURN_IF_ERROR(Append(version));
    return row.point().empty() ? absl::OkStatus() : Append(HParamsEvent(row, wall_time_));
  }

  absl::Status Append(const tensorboard::Event& event) {
    const std::string record = TfRecord(event.SerializeAsString());
    return file_->Append(record.data(), record.size());
  }

  Client* const client_;
  const std::string sweep_;
  const std::string directory_;
  std::optional<AtomicFile> file_;  // of job_id_
  uint64_t job_id_ = 0;
  double wall_time_ = 0;
  TensorBoardExport done_;
};

}  // namespace

std::string TensorBoardTag(absl::string_view metric) {
  for (const absl::string_view group : {"accuracy", "loss"}) {
    absl::string_view rest = metric;
    if (absl::ConsumeSuffix(&rest, absl::StrCat("_", group)) && !rest.empty())
      return absl::StrCat(group, "/", rest);
  }
  return std::string(metric);
}

absl::StatusOr<TensorBoardExport> ExportTensorBoard(Client* client,
                                                    const v1::GetMetricsRequest& request,
                                                    const std::string& directory) {
  RunWriter writer(client, request.filter().sweep(), directory);
  absl::Status failure;
  COPPICE_RETURN_IF_ERROR(client->GetMetrics(request, [&](const v1::GetMetricsResponse& response) {
    for (const v1::JobMetrics& row : response.rows()) {
      failure = writer.Add(row);
      if (!failure.ok()) return false;
    }
    return true;
  }));
  COPPICE_RETURN_IF_ERROR(failure);
  COPPICE_RETURN_IF_ERROR(writer.Finish());
  return writer.done();
}

}  // namespace coppice::cli
