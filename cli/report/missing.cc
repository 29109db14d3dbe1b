#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/report/html.h"
#include "cli/report/page.h"
#include "cli/select.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxReasons = 20;

std::string Jobs(uint64_t count) {
  return absl::StrCat(FormatCount(count), count == 1 ? " job" : " jobs");
}

// Adds a sentence for each state other than succeeded.
void AddStates(const v1::JobCounts& counts, std::vector<std::string>* items) {
  const auto add = [&](uint64_t count, const char* what) {
    if (count > 0) items->push_back(absl::StrCat(Jobs(count), " ", what));
  };
  add(counts.failed(), "failed; what they had reported is in the job table, not in the figures.");
  add(counts.cancelled(), counts.cancelled() == 1 ? "was cancelled; it is not in the figures."
                                                  : "were cancelled; they are not in the figures.");
  add(counts.running(), counts.running() == 1
                            ? "is running; its latest report stands in for the final one."
                            : "are running; their latest reports stand in for the final ones.");
  add(counts.pending(), counts.pending() == 1 ? "waits to run." : "wait to run.");
}

// The reasons of failed jobs, as a nested list.
std::string Reasons(const SweepSeries& series) {
  std::string list;
  size_t count = 0;
  for (const JobSeries& entry : series.jobs) {
    if (entry.job.state() != v1::FAILED || ++count > kMaxReasons) continue;
    absl::StrAppend(
        &list, "<li>", EscapeHtml(JobName(entry.job)), " at step ", FormatCount(entry.job.step()),
        ": ", EscapeHtml(entry.job.reason().empty() ? "no reason was given" : entry.job.reason()),
        "</li>\n");
  }
  if (count > kMaxReasons)
    absl::StrAppend(&list, "<li>and ", FormatCount(count - kMaxReasons),
                    " more, in the job table</li>\n");
  return list.empty() ? "" : absl::StrCat("<ul>\n", list, "</ul>\n");
}

// Adds the counted jobs that never reported a metric. If no job of the task has a metric, the
// figure that needs it reports that, except for the accuracies, which several figures need.
void AddMetrics(const std::vector<TaskResult>& tasks, std::vector<std::string>* items) {
  for (const TaskResult& task : tasks) {
    for (const Metric metric : {kIdAccuracy, kGenAccuracy, kWeightNorm, kAttentionSparsity, kTScore,
                                kTParseval, kRightBranching}) {
      size_t without = 0, all = 0;
      for (const DepthResult& depth : task.depths) {
        all += depth.seeds.size();
        without += depth.seeds.size() - CurvesOf(depth, metric).size();
      }
      const bool accuracy = metric == kIdAccuracy || metric == kGenAccuracy;
      if (without == 0 || (without == all && !accuracy)) continue;
      items->push_back(absl::StrCat(task.task, ": ", FormatCount(without), " of ", Jobs(all),
                                    without == 1 ? " has" : " have", " not reported ",
                                    MetricName(metric), "."));
    }
  }
}

}  // namespace

std::string MissingBox(const PageContent& content) {
  std::vector<std::string> items;
  AddStates(content.series.sweep.sweep().counts(), &items);
  AddMetrics(content.tasks, &items);
  const size_t absent = content.figures.figures.size() - content.figures.drawn();
  if (absent > 0)
    items.push_back(
        absl::StrCat(FormatCount(absent), absent == 1 ? " figure is" : " figures are",
                     " not drawn; among the figures below, a sentence in its place says why."));
  items.insert(items.end(), content.figures.missing.begin(), content.figures.missing.end());
  if (content.series.not_finite > 0) {
    items.push_back(absl::StrCat(FormatCount(content.series.not_finite),
                                 " reported values are no finite numbers and are left out."));
  }
  if (items.empty()) return "";
  std::string text = "<section class=\"missing\" id=\"missing\">\n<h2>What is missing</h2>\n<ul>\n";
  const bool failed = content.series.sweep.sweep().counts().failed() > 0;
  for (size_t i = 0; i < items.size(); ++i) {
    // The item on failed jobs is the first. Their reasons go below it.
    absl::StrAppend(&text, "<li>", EscapeHtml(items[i]),
                    i == 0 && failed ? Reasons(content.series) : "", "</li>\n");
  }
  return text + "</ul>\n</section>\n";
}

}  // namespace coppice::cli
