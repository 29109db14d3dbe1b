// Checks of pools and their probes, between pools.proto and the pools' values.
#include "absl/strings/str_cat.h"
#include "common/base/build_info.h"
#include "common/base/names.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "coordinator/service/checks.h"
#include "coordinator/service/convert_pools.h"

namespace coppice::service {
namespace {

constexpr size_t kMaxProbeKeyBytes = 200;
constexpr size_t kMaxTopicBytes = 40;
constexpr size_t kMaxFindingBytes = 4096;
constexpr int kMaxFindings = 50;

v1::ProbeFinding::Level LevelToProto(pools::Finding::Level level) {
  switch (level) {
    case pools::Finding::Level::kOk:
      return v1::ProbeFinding::OK;
    case pools::Finding::Level::kWarning:
      return v1::ProbeFinding::WARNING;
    case pools::Finding::Level::kFailed:
      return v1::ProbeFinding::FAILED;
  }
  return v1::ProbeFinding::LEVEL_UNSPECIFIED;
}

absl::StatusOr<pools::Finding> FindingFromProto(const v1::ProbeFinding& finding) {
  COPPICE_RETURN_IF_ERROR(CheckName("topic", finding.topic(), kMaxTopicBytes));
  COPPICE_RETURN_IF_ERROR(CheckLine("text", finding.text(), kMaxFindingBytes));
  pools::Finding out;
  out.topic = finding.topic();
  out.text = finding.text();
  switch (finding.level()) {
    case v1::ProbeFinding::OK:
      out.level = pools::Finding::Level::kOk;
      return out;
    case v1::ProbeFinding::WARNING:
      out.level = pools::Finding::Level::kWarning;
      return out;
    case v1::ProbeFinding::FAILED:
      out.level = pools::Finding::Level::kFailed;
      return out;
    default:
      return Bad("level", "must be OK, WARNING or FAILED");
  }
}

}  // namespace

absl::StatusOr<std::optional<absl::Duration>> ProbeWaitFromProto(
    const v1::CheckPoolRequest& request) {
  if (!request.probe()) return std::optional<absl::Duration>();
  if (request.probe_wait_s() == 0) return std::optional<absl::Duration>(pools::kProbeWait);
  const absl::Duration wait = absl::Seconds(request.probe_wait_s());
  if (wait <= pools::kLongestProbeWait) return std::optional<absl::Duration>(wait);
  return Bad("--probe-wait",
             absl::StrCat("must be at most ", absl::FormatDuration(pools::kLongestProbeWait)));
}

absl::StatusOr<pools::NodeReport> NodeReportFromProto(const v1::ReportNodeRequest& request) {
  COPPICE_RETURN_IF_ERROR(CheckName("key", request.key(), kMaxProbeKeyBytes));
  COPPICE_RETURN_IF_ERROR(CheckName("node", request.node()));
  if (request.findings_size() > kMaxFindings) return Bad("findings", "are too many");
  pools::NodeReport report;
  report.key = request.key();
  report.node = request.node();
  for (const v1::ProbeFinding& finding : request.findings()) {
    COPPICE_ASSIGN_OR_RETURN(report.findings.emplace_back(), FindingFromProto(finding));
  }
  report.wrote_file = request.wrote_file();
  report.last = request.last();
  return report;
}

void ToProto(const pools::NodeReportAnswer& answer, v1::ReportNodeResponse* out) {
  out->set_store_id(answer.store_id);
  out->set_version(COPPICE_VERSION);
  out->set_now_ms(answer.now_ms);
}

void ToProto(const pools::PoolCheck& check, v1::CheckPoolResponse* out) {
  out->set_script(Printable(check.script));
  for (const std::string& fact : check.facts) out->add_facts(Printable(fact));
  for (const std::string& warning : check.warnings) out->add_warnings(Printable(warning));
  for (const std::string& error : check.errors) out->add_errors(Printable(error));
  for (const pools::Finding& finding : check.findings) {
    v1::ProbeFinding* const to = out->add_findings();
    to->set_level(LevelToProto(finding.level));
    to->set_topic(finding.topic);
    to->set_text(Printable(finding.text));
  }
}

}  // namespace coppice::service
