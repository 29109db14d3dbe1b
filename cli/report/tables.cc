#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/report/drawing.h"
#include "cli/report/html.h"
#include "cli/report/numbers.h"
#include "cli/report/page.h"
#include "cli/select.h"
#include "cli/settings.h"

namespace coppice::cli {
namespace {

constexpr char kNone[] = "<span class=\"soft\">&ndash;</span>";

std::string Cell(const std::string& html, const char* style = "") {
  return *style == '\0' ? absl::StrCat("<td>", html, "</td>")
                        : absl::StrCat("<td class=\"", style, "\">", html, "</td>");
}

// Shows every digit on hover if `shown` has not all of them.
std::string WithExact(const std::string& shown, double value) {
  const std::string exact = FormatExact(value);
  return exact == shown ? shown : absl::StrCat("<span title=\"", exact, "\">", shown, "</span>");
}

std::string Number(double value) { return WithExact(Measured(value), value); }

// "0.87 +- 0.04" with the standard deviation in a fainter color.
std::string Mean(const Moments& of) {
  if (of.n == 0) return kNone;
  const std::string mean = WithExact(MeanText(of), of.mean);
  const std::string deviation = DeviationText(of);
  if (deviation.empty()) return mean;
  return absl::StrCat(mean, " <span class=\"soft\">sd&nbsp;", WithExact(deviation, of.std),
                      "</span>");
}

// Compares a depth with the one of the highest mean.
std::string VerdictText(const Ranking& ranking, size_t depth) {
  const Verdict verdict = ranking.verdicts[depth];
  if (verdict == Verdict::kNoValues) return kNone;
  if (verdict == Verdict::kOneSeed) return "one seed: no claim";
  const std::optional<Difference>& difference = ranking.differences[depth];
  std::string below;
  if (difference.has_value())
    below = absl::StrCat(verdict == Verdict::kLower ? "by " : "difference ",
                         IntervalText(difference->interval));
  else if (verdict == Verdict::kTied && ranking.highest == depth)
    below = "highest mean";
  return below.empty()
             ? VerdictWord(verdict)
             : absl::StrCat(VerdictWord(verdict), "<br><span class=\"soft\">", below, "</span>");
}

std::string TableStart(std::initializer_list<const char*> headers) {
  std::string text = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const absl::string_view header : headers) {
    // "#name" is a column of numbers.
    const bool number = !header.empty() && header[0] == '#';
    absl::StrAppend(&text, number ? "<th class=\"n\">" : "<th>", header.substr(number ? 1 : 0),
                    "</th>");
  }
  return text + "</tr></thead>\n<tbody>\n";
}
constexpr char kTableEnd[] = "</tbody></table></div>\n";

std::string FileLink(const char* file) {
  return absl::StrCat("<p class=\"files\"><a href=\"", file, "\">CSV</a></p>\n");
}

// "A", "B", ... "Z", "AA": names of the distinct provenances in the job table.
std::string Letters(size_t index) {
  std::string letters(1, static_cast<char>('A' + index % 26));
  return index < 26 ? letters : Letters(index / 26 - 1) + letters;
}

// The provenance's fields by name; the text itself if it is no JSON object.
std::string ProvenanceText(const std::string& provenance) {
  const auto json = nlohmann::json::parse(provenance, nullptr, false);
  if (!json.is_object()) return EscapeHtml(provenance);
  std::string text;
  for (const auto& [name, value] : json.items()) {
    const std::string shown =
        value.is_string() ? value.get<std::string>()
                          : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    absl::StrAppend(&text, text.empty() ? "" : "; ", "<span class=\"soft\">", EscapeHtml(name),
                    "</span> ", EscapeHtml(shown));
  }
  return text;
}

std::string JobRow(const JobSeries& series, const std::string& ran_on) {
  const v1::Job& job = series.job;
  const Curve& id = series.curves[kIdAccuracy];
  const Curve& gen = series.curves[kGenAccuracy];
  const std::optional<uint32_t> onset = FirstStaysAbove(gen, kGeneralizes);
  const std::string state = StateWord(job.state());
  std::string row = absl::StrCat("<tr>", Cell(EscapeHtml(JobName(job)), "w"));
  row += Cell(job.state() == v1::FAILED ? absl::StrCat("<span class=\"failed\">", state, "</span>")
                                        : state);
  row += Cell(absl::StrCat(FormatCount(job.step()), " / ", FormatCount(job.steps())), "n");
  row += Cell(id.empty() ? kNone : Number(id.back().value), "n");
  row += Cell(gen.empty() ? kNone : Number(gen.back().value), "n");
  row += Cell(onset.has_value() ? FormatCount(*onset) : kNone, "n");
  row += Cell(absl::StrCat(job.attempts()), "n");
  row += Cell(ran_on.empty() ? kNone : ran_on);
  row += Cell(job.state() == v1::SUCCEEDED ? "" : EscapeHtml(job.reason()), "t");
  return row + "</tr>\n";
}

std::string SummaryRow(const TaskResult& task, size_t i) {
  const DepthResult& depth = task.depths[i];
  const Verdict verdict = task.ranking.verdicts[i];
  const bool known = depth.gen.n > 0;
  std::string row = absl::StrCat("<tr class=\"", i == 0 ? "start " : "",
                                 verdict == Verdict::kBest   ? "best"
                                 : verdict == Verdict::kTied ? "tied"
                                                             : "",
                                 "\">");
  row += Cell(i == 0 ? EscapeHtml(task.task) : "");
  row += Cell(absl::StrCat(depth.depth), "n");
  row +=
      Cell(depth.seeds.size() == depth.jobs ? absl::StrCat(depth.jobs)
                                            : absl::StrCat(depth.seeds.size(), " of ", depth.jobs),
           "n");
  absl::StrAppend(&row, Cell(Mean(depth.id), "n"), Cell(Mean(depth.gen), "n"));
  row += Cell(VerdictText(task.ranking, i), "w");
  row += Cell(known ? absl::StrCat(depth.above, " of ", depth.gen.n) : kNone, "n");
  row += Cell(known ? IntervalText(depth.share) : kNone, "n");
  return absl::StrCat(row, Cell(Mean(depth.early), "n"), "</tr>\n");
}

constexpr char kSummaryNote[] =
    ". The last digit is that of the standard error (rounded as the Particle Data Group does). One "
    "seed: the value as measured; no spread is known and no claim is made. "
    "&ldquo;Best&rdquo; is a depth whose mean final generalization accuracy is higher than that "
    "of each other depth by Welch&rsquo;s t interval of the difference, at a level that holds for "
    "all pairs of a task&rsquo;s depths at once (Tamhane&rsquo;s T2, 95%). &ldquo;Not told "
    "apart&rdquo;: that interval, which stands below, has 0 in it. "
    "&ldquo;Lower&rdquo;: it has not.</p>\n";

}  // namespace

std::string SummaryTable(const std::vector<TaskResult>& tasks) {
  std::string text = TableStart({"task", "#depth", "#seeds", "#final in-domain",
                                 "#final generalization", "against the highest mean", "#above 0.80",
                                 "#95% interval", "#early-stopped generalization"});
  std::string sentences;
  for (const TaskResult& task : tasks) {
    for (size_t i = 0; i < task.depths.size(); ++i) text += SummaryRow(task, i);
    if (const std::string sentence = RankingSentence(task); !sentence.empty())
      absl::StrAppend(&sentences, "<li>", EscapeHtml(sentence), "</li>\n");
  }
  absl::StrAppend(&text, kTableEnd, FileLink("summary.csv"));
  if (!sentences.empty()) absl::StrAppend(&text, "<ul class=\"ranking\">\n", sentences, "</ul>\n");
  return absl::StrCat(
      text,
      "<p class=\"soft\">Mean &plusmn; standard error of the mean, and sample standard deviation "
      "(sd), over the seeds that count: jobs that succeeded",
      AnyProvisional(tasks) ? " and, at their latest report, jobs that have not ended" : "",
      kSummaryNote);
}

std::string SummaryCsv(const std::vector<TaskResult>& tasks) {
  std::string csv =
      "task,depth,jobs,seeds,not_ended,best,verdict,below_highest,below_highest_low,"
      "below_highest_high,final_id_accuracy_mean,final_id_accuracy_std,final_gen_accuracy_mean,"
      "final_gen_accuracy_std,above_80,wilson_low,wilson_high,early_stopped_gen_accuracy_mean,"
      "early_stopped_gen_accuracy_std\n";
  for (const TaskResult& task : tasks) {
    for (size_t i = 0; i < task.depths.size(); ++i) {
      const DepthResult& depth = task.depths[i];
      const std::optional<Difference>& difference = task.ranking.differences[i];
      const auto known = [&](double value) { return depth.gen.n == 0 ? "" : FormatExact(value); };
      const auto of = [&](double value) { return FormatExact(value); };
      csv += CsvRow({task.task, absl::StrCat(depth.depth), absl::StrCat(depth.jobs),
                     absl::StrCat(depth.seeds.size()), absl::StrCat(depth.provisional),
                     task.ranking.best() == i ? "true" : "false",
                     VerdictWord(task.ranking.verdicts[i]),
                     difference.has_value() ? of(difference->mean) : "",
                     difference.has_value() ? of(difference->interval.low) : "",
                     difference.has_value() ? of(difference->interval.high) : "",
                     MeanCell(depth.id), DeviationCell(depth.id), MeanCell(depth.gen),
                     DeviationCell(depth.gen), absl::StrCat(depth.above), known(depth.share.low),
                     known(depth.share.high), MeanCell(depth.early), DeviationCell(depth.early)});
    }
  }
  return csv;
}

std::string JobTable(const SweepSeries& series) {
  std::map<std::string, size_t> known;
  std::vector<std::pair<std::string, size_t>> distinct;  // by first appearance, with job counts
  std::string rows;
  for (const JobSeries& job : series.jobs) {
    std::string ran_on;
    if (!job.provenance.empty()) {
      const auto [at, added] = known.emplace(job.provenance, distinct.size());
      if (added) distinct.emplace_back(job.provenance, 0);
      ++distinct[at->second].second;
      ran_on = Letters(at->second);
    }
    rows += JobRow(job, ran_on);
  }
  std::string text =
      absl::StrCat(TableStart({"job", "state", "#step", "#in-domain", "#generalization",
                               "#stays above 0.80 from", "#attempts", "ran on", "reason"}),
                   rows, kTableEnd, FileLink("jobs.csv"));
  if (distinct.empty()) return text;
  absl::StrAppend(&text, "<h3>What the jobs ran on</h3>\n",
                  TableStart({"", "#jobs", "as the last attempt's trainer reported it"}));
  for (size_t i = 0; i < distinct.size(); ++i) {
    absl::StrAppend(&text, "<tr>", Cell(Letters(i)), Cell(FormatCount(distinct[i].second), "n"),
                    Cell(ProvenanceText(distinct[i].first)), "</tr>\n");
  }
  return text + kTableEnd;
}

std::string JobsCsv(const SweepSeries& series) {
  std::string csv =
      "job_id,task,depth,seed,state,step,steps,final_id_accuracy,final_gen_accuracy,first_stays_"
      "above_80_step,attempts,failures,reason,provenance\n";
  for (const JobSeries& entry : series.jobs) {
    const v1::Job& job = entry.job;
    const auto last = [&](Metric metric) {
      return entry.curves[metric].empty() ? "" : FormatExact(entry.curves[metric].back().value);
    };
    const std::optional<uint32_t> onset = FirstStaysAbove(entry.curves[kGenAccuracy], kGeneralizes);
    csv += CsvRow({absl::StrCat(job.id()), job.task(), absl::StrCat(job.depth()),
                   absl::StrCat(job.seed()), StateWord(job.state()), absl::StrCat(job.step()),
                   absl::StrCat(job.steps()), last(kIdAccuracy), last(kGenAccuracy),
                   onset.has_value() ? absl::StrCat(*onset) : "", absl::StrCat(job.attempts()),
                   absl::StrCat(job.failures()), job.reason(), entry.provenance});
  }
  return csv;
}

std::string SettingsSection(const v1::GetSweepResponse& sweep) {
  std::string text = TableStart({"setting", "value", "for"});
  std::string before;
  for (const SettingRow& row : SettingRows(sweep.groups())) {
    absl::StrAppend(&text, "<tr>", Cell(row.path == before ? "" : EscapeHtml(row.path)),
                    Cell(EscapeHtml(row.value), "t"),
                    Cell(row.groups.empty() ? "" : EscapeHtml(row.groups), "t"), "</tr>\n");
    before = row.path;
  }
  absl::StrAppend(&text, kTableEnd, "<h3>The spec as submitted</h3>\n<pre>",
                  EscapeHtml(ToJson(sweep.spec())), "</pre>\n");
  return text;
}

}  // namespace coppice::cli
