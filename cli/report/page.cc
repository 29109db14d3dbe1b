#include "cli/report/page.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/format.h"
#include "cli/report/drawing.h"
#include "cli/report/html.h"
#include "common/base/build_info.h"
#include "common/spec/axes.h"

namespace coppice::cli {
namespace {

constexpr char kStyle[] = R"css(
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem 1.5rem 4rem; max-width: 1000px; background: #fff; color: #222;
  font: 15px/1.5 "Liberation Sans", Arial, Helvetica, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .7rem; padding-bottom: .25rem; border-bottom: 1px solid #ddd; }
p { margin: .4rem 0; }
a { color: #0072b2; }
.lead { color: #555; margin: 0; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; margin: 1.1rem 0 0; }
.facts div { min-width: 5rem; }
.facts dt, .facts dd { margin: 0; }
.facts dt { color: #707070; font-size: .8rem; }
.facts dd { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.contents { margin: 1.4rem 0 0; font-size: .9rem; }
.contents h2 { margin: 0 0 .3rem; border: 0; padding: 0; font-size: 1.05rem; }
.contents ol { margin: 0; padding: 0; list-style: none; }
.contents ol ol { padding-left: 1.2rem; columns: 2; column-gap: 2rem; }
.contents li { break-inside: avoid; }
.absent { margin: 2.2rem 0 0; padding: .6rem 1.1rem; background: #f6f6f6; font-size: .9rem; }
.absent h3 { margin: 0; font-size: 1rem; }
.ranking { margin: .6rem 0; padding-left: 1.2rem; }
.missing { margin: 1.4rem 0 0; padding: .8rem 1.1rem; background: #fff6e0; border-left: 4px solid #e69f00; }
.missing h2 { margin: 0 0 .3rem; border: 0; padding: 0; font-size: 1.05rem; }
.missing ul { margin: .3rem 0; padding-left: 1.2rem; }
.missing li { margin: .15rem 0; overflow-wrap: anywhere; }
figure { margin: 2.2rem 0 0; break-inside: avoid; }
figure h3 { margin: 0 0 .5rem; font-size: 1rem; }
/* Text of 8 points in a figure is as large as a caption; on paper a figure has its own size. */
figure img { display: block; width: 100%; height: auto; max-width: calc(var(--inches) * 136px); }
figcaption { margin-top: .5rem; color: #444; font-size: .87rem; max-width: 56rem; }
.files { margin-top: .2rem; font-size: .8rem; }
.files a { margin-right: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .75rem .22rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid #999; font-weight: 600; vertical-align: bottom; }
td { border-bottom: 1px solid #eee; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.w { white-space: nowrap; }
td.t { overflow-wrap: anywhere; max-width: 24rem; }
tr.best td { font-weight: 600; background: #e6f3ee; }
tr.tied td { background: #f2f8f5; }
tr.start td { border-top: 2px solid #bbb; }
p.soft { font-size: .87rem; }
.soft { color: #707070; }
.failed { color: #b03000; }
pre { padding: .8rem 1rem; background: #f6f6f6; font: .76rem/1.45 "Liberation Mono", Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 3rem; color: #707070; font-size: .8rem; }
@page { margin: 15mm; }
@media print {
  body { padding: 0; max-width: none; font-size: 10pt; }
  a { color: inherit; text-decoration: none; }
  .files { display: none; }
  figure img { max-width: calc(var(--inches) * 1in); }
  .missing { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  h2, h3 { break-after: avoid; }
  thead { display: table-header-group; }
  tr, .missing li { break-inside: avoid; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  .own-page { break-before: page; }
}
)css";

std::string Fact(const std::string& name, const std::string& value) {
  return absl::StrCat("<div><dt>", EscapeHtml(name), "</dt><dd>", EscapeHtml(value),
                      "</dd></div>\n");
}

std::string StateSentence(const v1::SweepSummary& sweep) {
  const v1::JobCounts& counts = sweep.counts();
  if (counts.succeeded() == sweep.jobs()) return "Complete: every job succeeded.";
  const uint64_t open = counts.pending() + counts.running();
  if (open == 0) return "Ended; some jobs did not succeed.";
  return absl::StrCat("Not finished: ", FormatCount(open), " of ", FormatCount(sweep.jobs()),
                      " jobs are still to end.");
}

// The axes of the grid with the number of their values, as facts.
std::string AxisFacts(const v1::SweepSpec& spec) {
  if (spec::IsClassic(spec)) {
    return Fact("tasks", absl::StrJoin(spec.tasks(), ", ")) +
           Fact("depths", absl::StrJoin(spec.depths(), ", "));
  }
  std::string text;
  for (const v1::Axis& axis : spec.axes()) {
    text += Fact(axis.name(),
                 absl::StrCat(axis.values_size(), axis.values_size() == 1 ? " value" : " values"));
  }
  return text;
}

std::string Header(const v1::GetSweepResponse& response) {
  const v1::SweepSummary& sweep = response.sweep();
  const v1::SweepSpec& spec = response.spec();
  std::string text =
      absl::StrCat("<header>\n<h1>", EscapeHtml(sweep.name()), "</h1>\n<p class=\"lead\">",
                   StateSentence(sweep), "</p>\n<dl class=\"facts\">\n");
  const v1::JobCounts& counts = sweep.counts();
  text += Fact("jobs succeeded",
               absl::StrCat(FormatCount(counts.succeeded()), " of ", FormatCount(sweep.jobs())));
  text += AxisFacts(spec);
  text += Fact("seeds", FormatCount(static_cast<uint64_t>(spec.seeds_size())));
  text += Fact("steps", absl::StrCat(FormatCount(sweep.steps_done()), " of ",
                                     FormatCount(sweep.steps_total())));
  text += Fact("submitted", FormatTime(sweep.created_ms()));
  if (sweep.finished_ms() != 0) text += Fact("ended", FormatTime(sweep.finished_ms()));
  if (!sweep.tags().empty()) text += Fact("tags", EscapeHtml(absl::StrJoin(sweep.tags(), ", ")));
  text += "</dl>\n";
  for (const absl::string_view line : absl::StrSplit(sweep.note(), '\n', absl::SkipWhitespace()))
    absl::StrAppend(&text, "<p class=\"lead\">", EscapeHtml(line), "</p>\n");
  return text + "</header>\n";
}

// The heading of a figure. Only a drawn one has a number.
std::string FigureTitle(const Figure& figure, size_t number) {
  return absl::StrCat(figure.drawn() ? absl::StrCat("Figure ", number, ". ") : "",
                      EscapeHtml(figure.title));
}

std::string FigureHtml(const Figure& figure, const std::string& svg, size_t number) {
  const std::string title = FigureTitle(figure, number);
  if (!figure.drawn()) {
    return absl::StrCat("<div class=\"absent\" id=\"", figure.name, "\">\n<h3>", title,
                        "</h3>\n<p>Not drawn. ", EscapeHtml(figure.absent), "</p>\n</div>\n");
  }
  std::string files;
  for (const char* type : {"svg", "pdf", "csv", "gp"}) {
    absl::StrAppend(&files, "<a href=\"figures/", figure.name, ".", type, "\">",
                    absl::string_view(type) == "gp" ? "gnuplot" : absl::AsciiStrToUpper(type),
                    "</a>");
  }
  return absl::StrFormat(
      "<figure id=\"%s\">\n<h3>%s</h3>\n<img style=\"--inches:%.2f\" alt=\"%s\" "
      "src=\"data:image/svg+xml;base64,%s\">\n"
      "<figcaption>%s<div class=\"files\">%s</div></figcaption>\n</figure>\n",
      figure.name, title, figure.plot.width(), EscapeHtml(figure.title), absl::Base64Escape(svg),
      EscapeHtml(figure.caption), files);
}

// Calls `each` with every figure, its index and, if it is drawn, its number.
template <typename Each>
void ForFigures(const FigureSet& set, const Each& each) {
  size_t number = 0;
  for (size_t i = 0; i < set.figures.size(); ++i) {
    if (set.figures[i].drawn()) ++number;
    each(set.figures[i], i, number);
  }
}

std::string ContentsItem(absl::string_view id, absl::string_view html) {
  return absl::StrCat("<li><a href=\"#", id, "\">", html, "</a>");
}

// `jobs`: whether the page has a table of jobs.
std::string Contents(const FigureSet& set, bool missing, absl::string_view summary, bool jobs) {
  std::string text = "<nav class=\"contents\">\n<h2>Contents</h2>\n<ol>\n";
  if (missing) absl::StrAppend(&text, ContentsItem("missing", "What is missing"), "</li>\n");
  absl::StrAppend(&text, ContentsItem("summary", summary), "</li>\n");
  if (!set.figures.empty()) {
    absl::StrAppend(&text, ContentsItem("figures", "Figures"), "\n<ol>\n");
    ForFigures(set, [&](const Figure& figure, size_t, size_t number) {
      absl::StrAppend(&text, ContentsItem(figure.name, FigureTitle(figure, number)),
                      figure.drawn() ? "" : " (not drawn)", "</li>\n");
    });
    text += "</ol></li>\n";
  }
  if (jobs) absl::StrAppend(&text, ContentsItem("jobs", "Jobs"), "</li>\n");
  absl::StrAppend(&text, ContentsItem("settings", "Settings"), "</li>\n</ol>\n</nav>\n");
  return text;
}

std::string Section(absl::string_view id, absl::string_view title, bool own_page,
                    absl::string_view body) {
  return absl::StrCat("<section id=\"", id, "\">\n<h2", own_page ? " class=\"own-page\"" : "", ">",
                      title, "</h2>\n", body, "</section>\n");
}

constexpr char kSources[] =
    " E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 "
    "(1927) 209-212. B. L. Welch, The generalization of &lsquo;Student&rsquo;s&rsquo; problem when "
    "several different population variances are involved, Biometrika 34 (1947) 28-35. A. C. "
    "Tamhane, A comparison of procedures for multiple comparisons of means with unequal variances, "
    "JASA 74 (1979) 471-480. S. Murty, P. Sharma, J. Andreas, C. D. Manning, Grokking of "
    "hierarchical structure in vanilla transformers, ACL 2023.";

std::string PageStart(const v1::GetSweepResponse& sweep) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", kGenerator,
      "\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeHtml(sweep.sweep().name()), " - Coppice report</title>\n<style>", kStyle,
      "</style>\n</head>\n<body>\n");
}

std::string FiguresSection(const FigureSet& set, const std::vector<std::string>& svgs) {
  std::string figures;
  ForFigures(set, [&](const Figure& figure, size_t i, size_t number) {
    figures += FigureHtml(figure, svgs[i], number);
  });
  return figures.empty() ? "" : Section("figures", "Figures", true, figures);
}

std::string PageEnd(int64_t written_ms, absl::string_view sources) {
  return absl::StrCat("<footer>Written by coppice ", EscapeHtml(VersionText()), " at ",
                      FormatTime(written_ms), " from what the coordinator held then.", sources,
                      "</footer>\n</body>\n</html>\n");
}

}  // namespace

std::string MakePage(const PageContent& content) {
  const std::string missing = MissingBox(content);
  return absl::StrCat(
      PageStart(content.series.sweep), Header(content.series.sweep),
      Contents(content.figures, !missing.empty(), "By task and depth", /*jobs=*/true), missing,
      Section("summary", "By task and depth", false, SummaryTable(content.tasks)),
      FiguresSection(content.figures, content.svgs),
      Section("jobs", "Jobs", true, JobTable(content.series)),
      Section("settings", "Settings", true, SettingsSection(content.series.sweep)),
      PageEnd(content.written_ms, kSources));
}

std::string MakeAxesPage(const AxesPageContent& content) {
  std::string missing;
  if (content.not_finite > 0) {
    missing = absl::StrCat(
        "<section class=\"missing\" id=\"missing\">\n<h2>What is missing</h2>\n"
        "<p>",
        FormatCount(content.not_finite),
        " reported values are not finite and are left out.</p>\n</section>\n");
  }
  return absl::StrCat(PageStart(content.sweep), Header(content.sweep),
                      Contents(content.figures, !missing.empty(), "By point", /*jobs=*/false),
                      missing, Section("summary", "By point", false, content.summary),
                      FiguresSection(content.figures, content.svgs),
                      Section("settings", "Settings", true, SettingsSection(content.sweep)),
                      PageEnd(content.written_ms, ""));
}

}  // namespace coppice::cli
