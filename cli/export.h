// Metrics and jobs as files for other programs.
#ifndef COPPICE_CLI_EXPORT_H_
#define COPPICE_CLI_EXPORT_H_

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/client.h"
#include "common/base/output_file.h"
#include "coppice/v1/coordinator.pb.h"

namespace coppice::cli {

// Takes text in pieces; an error ends the export.
using Sink = std::function<absl::Status(absl::string_view)>;

enum class MetricsFormat {
  kTable,  // four digits
  kCsv,    // header job_id,task,depth,seed,step and the metrics by name (a sweep with axes of its
           // own has a column for each instead of task and depth); the fewest digits that read
           // back equal; LF
  kJsonLines,
  kJson,  // one object: {"rows": [...]}
};

// Exports rows in the order of the requests, then in the coordinator's (job, step). With
// request.include_archived, the CSV and the table have columns attempt and archived after step. The
// rows of several requests begin with the name of their sweep (a first column `sweep`, or a field
// of that name), and have the axes of all. One message at a time is in memory: the
// columns are known only at the end, so rows wait in an unnamed file in `folder` (empty: the
// system's temporary folder). A table is folded to `width` columns unless that is 0.
absl::Status ExportMetrics(Client* client, const std::vector<v1::GetMetricsRequest>& requests,
                           MetricsFormat format, const Sink& sink, const std::string& folder = "",
                           size_t width = 0);

// The header, whose task and depth are the axes where a sweep has axes of its own, is
// job_id,task,depth,seed,state,step,steps,attempts,failures,attempt,worker,checkpoint_step,created_ms,started_ms,finished_ms,reason.
absl::Status ExportJobsCsv(Client* client, const v1::JobFilter& filter, const Sink& sink);

// The destination of a command's rows: a user's file, by the rule of common/base/output_file.h, or
// the standard output if the path is empty or "-".
struct OutputName {
  std::string path;
  bool force = false;  // an existing file may be replaced

  bool standard_output() const { return path.empty() || path == kStandardOutputName; }
};

inline OutputFile::Existing ExistingOf(const OutputName& name) {
  return name.force ? OutputFile::Existing::kReplace : OutputFile::Existing::kKeep;
}

// Runs `write` with a sink to a file that appears whole or not at all.
absl::Status WriteToFile(const OutputName& name,
                         const std::function<absl::Status(const Sink&)>& write);

// Like WriteToFile, but writes to `out` for the standard output.
absl::Status WriteTo(const OutputName& name, std::ostream& out,
                     const std::function<absl::Status(const Sink&)>& write);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_EXPORT_H_
