// The figures over depth: early stopping, the share that generalizes, the onset.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "cli/report/absent.h"
#include "cli/report/drawing.h"
#include "cli/report/figures.h"

namespace coppice::cli {
namespace {

std::string StepCell(const std::optional<uint32_t>& value) {
  return value.has_value() ? absl::StrCat(*value) : "";
}

// A panel over the depths that have values, with `n` under each.
Panel DepthPanel(const TaskResult& task, std::vector<const DepthResult*>* shown, SeedNotes* seeds) {
  Panel panel;
  panel.title = task.task;
  panel.x_label = "depth (layers)";
  std::vector<std::string> labels;
  for (const DepthResult& depth : task.depths) {
    if (depth.gen.n == 0) continue;
    shown->push_back(&depth);
    seeds->AddMark(absl::StrCat(task.task, " depth ", depth.depth), depth.gen.n);
    labels.push_back(absl::StrCat(depth.depth));
  }
  const bool roomy = shown->size() <= 6;
  for (const DepthResult* depth : *shown)
    panel.notes.push_back(absl::StrCat(roomy ? "n=" : "", depth->gen.n));
  if (!roomy) panel.notes_name.push_back('n');
  panel.x = CategoryTicks(labels);
  return panel;
}

// Appends dots at (x, y); those of jobs that have not ended are open.
struct Dots {
  std::string closed, open;
  void Add(double x, double y, bool provisional) {
    absl::StrAppendFormat(provisional ? &open : &closed, "%.4f %.6g\n", x, y);
  }
  void Draw(const char* colour, double visible, Plot* plot, Panel* panel) const {
    if (!closed.empty())
      panel->layers.push_back(absl::StrCat(plot->AddData(closed),
                                           " using 1:2 with points pt 7 ps 0.5*P lc rgb '",
                                           Faded(colour, visible), "'"));
    if (!open.empty())
      panel->layers.push_back(absl::StrCat(plot->AddData(open),
                                           " using 1:2 with points pt 6 ps 0.5*P lw 0.7 lc rgb '",
                                           colour, "'"));
  }
};

void LegendForProvisional(const std::vector<TaskResult>& tasks, Figure* figure) {
  if (!AnyProvisional(tasks)) return;
  figure->plot.AddLegend({LegendEntry::kOpenDot, colour::kFaint, "not ended yet"});
  figure->caption += kProvisional;
}

std::string BarRows(const std::vector<std::pair<double, double>>& means, double half) {
  std::string rows;
  for (const auto& [x, y] : means)
    absl::StrAppendFormat(&rows, "%.4f %.6g %.4f 0\n", x - half, y, 2 * half);
  return rows;
}

void AddEarlyStopping(const TaskResult& task, Figure* figure, SeedNotes* notes, bool first) {
  std::vector<const DepthResult*> shown;
  Panel panel = DepthPanel(task, &shown, notes);
  panel.y = UnitTicks();
  if (first) panel.y_label = "generalization accuracy";
  Dots early, full;
  std::vector<std::pair<double, double>> early_means, full_means;
  for (size_t i = 0; i < shown.size(); ++i) {
    const std::vector<SeedResult>& seeds = shown[i]->seeds;
    const double x = static_cast<double>(i);
    for (size_t k = 0; k < seeds.size(); ++k) {
      const double spread = Spread(k, seeds.size(), 0.2);
      if (seeds[k].early_gen.has_value())
        early.Add(x - 0.19 + spread, *seeds[k].early_gen, seeds[k].provisional);
      if (seeds[k].final_gen.has_value())
        full.Add(x + 0.19 + spread, *seeds[k].final_gen, seeds[k].provisional);
    }
    if (shown[i]->early.n > 0) early_means.emplace_back(x - 0.19, shown[i]->early.mean);
    full_means.emplace_back(x + 0.19, shown[i]->gen.mean);
  }
  early.Draw(colour::kEarlyStopped, 0.6, &figure->plot, &panel);
  full.Draw(colour::kGeneralization, 0.45, &figure->plot, &panel);
  const auto bars = [&](const std::vector<std::pair<double, double>>& means, const char* colour) {
    if (means.empty()) return;
    panel.layers.push_back(absl::StrCat(figure->plot.AddData(BarRows(means, 0.17)),
                                        " using 1:2:3:4 with vectors nohead lw 2.2 lc rgb '",
                                        colour, "'"));
  };
  bars(early_means, colour::kEarlyStopped);
  bars(full_means, colour::kGeneralization);
  figure->plot.AddPanel(std::move(panel));
}

void AddShare(const TaskResult& task, Figure* figure, SeedNotes* notes, bool first) {
  std::vector<const DepthResult*> shown;
  Panel panel = DepthPanel(task, &shown, notes);
  panel.y = UnitTicks();
  if (first) panel.y_label = "share of seeds above 0.80";
  std::string line;
  Dots dots;
  for (size_t i = 0; i < shown.size(); ++i) {
    const DepthResult& depth = *shown[i];
    const double share = static_cast<double>(depth.above) / static_cast<double>(depth.gen.n);
    absl::StrAppendFormat(&line, "%d %.6g %.6g %.6g\n", i, share, depth.share.low,
                          depth.share.high);
    dots.Add(static_cast<double>(i), share, depth.provisional > 0);
  }
  const std::string data = figure->plot.AddData(line);
  const std::string colour = absl::StrCat(" lc rgb '", colour::kGeneralization, "'");
  if (shown.size() > 1)
    panel.layers.push_back(absl::StrCat(data, " using 1:2 with lines lw 1.4", colour));
  panel.layers.push_back(
      absl::StrCat(data, " using 1:2:3:4 with yerrorbars pt 7 ps 0.01 lw 0.9", colour));
  // White goes first, so that no line shows through an open mark.
  if (!dots.open.empty())
    panel.layers.push_back(absl::StrCat(figure->plot.AddData(dots.open),
                                        " using 1:2 with points pt 7 ps 0.6*P lc rgb 'white'"));
  for (const auto& [rows, type] : {std::pair(dots.closed, 7), std::pair(dots.open, 6)}) {
    if (rows.empty()) continue;
    panel.layers.push_back(absl::StrCat(figure->plot.AddData(rows), " using 1:2 with points pt ",
                                        type, " ps 0.6*P lw 1", colour));
  }
  figure->plot.AddPanel(std::move(panel));
}

void AddOnset(const TaskResult& task, Figure* figure, SeedNotes* notes, bool first) {
  std::vector<const DepthResult*> shown;
  Panel panel = DepthPanel(task, &shown, notes);
  panel.y = StepTicks(task.last_step, 4);
  const double last = std::max(1u, task.last_step);
  const double never = last * 1.16;
  panel.y.high = last * 1.28;
  const bool running = std::any_of(shown.begin(), shown.end(),
                                   [](const DepthResult* depth) { return depth->provisional > 0; });
  panel.y.marks.emplace_back(never, running ? "not yet" : "never");
  if (first) panel.y_label = "onset (step)";
  panel.extras.push_back(
      absl::StrFormat("set object rectangle from graph 0, first %.9g to graph 1, graph 1 fc rgb "
                      "'#F4F4F4' fs solid noborder behind",
                      last * 1.04));
  Dots above, not_above;
  for (size_t i = 0; i < shown.size(); ++i) {
    const std::vector<SeedResult>& seeds = shown[i]->seeds;
    size_t without = 0;
    for (size_t k = 0; k < seeds.size(); ++k) {
      const double x = static_cast<double>(i) + Spread(k, seeds.size(), 0.5);
      if (seeds[k].onset.has_value())
        above.Add(x, *seeds[k].onset, seeds[k].provisional);
      else if (seeds[k].final_gen.has_value()) {
        not_above.Add(x, never, seeds[k].provisional);
        ++without;
      }
    }
    if (without == 0) continue;
    panel.extras.push_back(absl::StrFormat(
        "set label %s at first %d,%.9g center font 'Liberation Sans,6.5' tc rgb '%s'",
        GnuplotText(
            absl::StrCat(without, shown.size() <= 6 ? absl::StrCat(" of ", shown[i]->gen.n) : "")),
        i, last * 1.235, colour::kFaint));
  }
  above.Draw(colour::kGeneralization, 0.75, &figure->plot, &panel);
  not_above.Draw(colour::kFaint, 0.75, &figure->plot, &panel);
  figure->plot.AddPanel(std::move(panel));
}

using AddPanel = void (*)(const TaskResult& task, Figure* figure, SeedNotes* notes, bool first);

// Adds a panel for each task whose depths have a final accuracy, and the caption's text on seeds.
// `why_not` returns another reason to leave a task out, "" if there is none. False if no task gets
// a panel.
template <typename WhyNot>
bool AddPanels(const SweepSeries& series, const std::vector<TaskResult>& tasks, AddPanel add,
               const WhyNot& why_not, Figure* figure, std::vector<std::string>* missing) {
  std::vector<std::string> absent;
  SeedNotes notes;
  for (const TaskResult& task : tasks) {
    std::string why =
        task.highest() == nullptr ? WhyAbsent(series, task.task, {kGenAccuracy}) : why_not(task);
    if (why.empty())
      add(task, figure, &notes, figure->plot.empty());
    else
      absent.push_back(std::move(why));
  }
  figure->caption += notes.Caption();
  return !SayAbsent(absent, figure, missing);
}

std::string Nothing(const TaskResult& /*task*/) { return ""; }

template <typename Has>
bool AnySeed(const TaskResult& task, const Has& has) {
  return std::any_of(task.depths.begin(), task.depths.end(), [&](const DepthResult& depth) {
    return std::any_of(depth.seeds.begin(), depth.seeds.end(), has);
  });
}

template <typename Row>
void ForSeeds(const std::vector<TaskResult>& tasks, const Row& row) {
  for (const TaskResult& task : tasks) {
    for (const DepthResult& depth : task.depths) {
      for (const SeedResult& seed : depth.seeds) row(task, depth, seed);
    }
  }
}

}  // namespace

Figure EarlyStoppingFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                           std::vector<std::string>* missing) {
  Figure figure;
  figure.name = "early-stopping";
  figure.title = "Early stopping against full training";
  figure.caption = absl::StrCat(
      "Generalization accuracy by depth if every seed is stopped on its in-domain accuracy (left) "
      "and if it is trained to its end (right). "
      "Dots: seeds; bars: means. Early stopping: training ends when in-domain accuracy has not "
      "risen for ",
      kPatience,
      " reports in a row, and the earliest report with the highest in-domain accuracy until then "
      "is "
      "taken.");
  figure.csv =
      "task,depth,seed,state,stopped_at_step,checkpoint_step,early_stopped_gen_accuracy,final_step,"
      "final_gen_accuracy\n";
  const auto why_not = [&](const TaskResult& task) {
    const auto stopped = [](const SeedResult& seed) { return seed.early_gen.has_value(); };
    return AnySeed(task, stopped) ? "" : WhyAbsent(series, task.task, {kIdAccuracy});
  };
  if (!AddPanels(series, tasks, AddEarlyStopping, why_not, &figure, missing)) return figure;
  figure.plot.AddLegend({LegendEntry::kBar, colour::kEarlyStopped, "early-stopped (mean)"});
  figure.plot.AddLegend({LegendEntry::kBar, colour::kGeneralization, "trained to the end (mean)"});
  figure.plot.AddLegend({LegendEntry::kDot, colour::kFaint, "one seed"});
  LegendForProvisional(tasks, &figure);
  ForSeeds(tasks, [&](const TaskResult& task, const DepthResult& depth, const SeedResult& seed) {
    const Curve& gen = seed.job->curves[kGenAccuracy];
    figure.csv +=
        CsvRow({task.task, absl::StrCat(depth.depth), absl::StrCat(seed.job->job.seed()),
                StateWord(seed.job->job.state()),
                seed.stop.has_value() ? StepCell(seed.stop->stopped) : "",
                seed.stop.has_value() ? absl::StrCat(seed.stop->checkpoint) : "",
                ValueCell(seed.early_gen), gen.empty() ? "" : absl::StrCat(gen.back().step),
                ValueCell(seed.final_gen)});
  });
  return figure;
}

Figure ShareFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                   std::vector<std::string>* missing) {
  Figure figure;
  figure.name = "share-above-80";
  figure.title = "Share of seeds that generalize, by depth";
  figure.caption =
      "Share of seeds whose final generalization accuracy is above 0.80, with the 95% score "
      "interval of Wilson (1927).";
  figure.csv = "task,depth,n,above,share,wilson_low,wilson_high,not_ended\n";
  if (!AddPanels(series, tasks, AddShare, Nothing, &figure, missing)) return figure;
  if (AnyProvisional(tasks)) {
    figure.plot.AddLegend({LegendEntry::kDot, colour::kGeneralization, "every seed at its end"});
    figure.plot.AddLegend({LegendEntry::kOpenDot, colour::kGeneralization, "some not ended yet"});
    figure.caption +=
        " Open marks: depths with jobs that have not ended, which count with their latest report.";
  }
  for (const TaskResult& task : tasks) {
    for (const DepthResult& depth : task.depths) {
      const bool known = depth.gen.n > 0;
      const double share =
          static_cast<double>(depth.above) / static_cast<double>(std::max<size_t>(1, depth.gen.n));
      figure.csv +=
          CsvRow({task.task, absl::StrCat(depth.depth), absl::StrCat(depth.gen.n),
                  absl::StrCat(depth.above), known ? FormatExact(share) : "",
                  known ? FormatExact(depth.share.low) : "",
                  known ? FormatExact(depth.share.high) : "", absl::StrCat(depth.provisional)});
    }
  }
  return figure;
}

Figure OnsetFigure(const SweepSeries& series, const std::vector<TaskResult>& tasks,
                   std::vector<std::string>* missing) {
  Figure figure;
  figure.name = "onset";
  figure.title = "When each seed starts to generalize";
  figure.caption =
      "First reported step from which a seed's generalization accuracy stays above 0.80 to its "
      "last report, by depth. "
      "Seeds that never do are in the shaded row at the top, with their count.";
  figure.csv = "task,depth,seed,state,first_stays_above_step,last_step\n";
  const auto why_not = [](const TaskResult& task) {
    size_t seeds = 0;
    for (const DepthResult& depth : task.depths) seeds += depth.gen.n;
    const auto has = [](const SeedResult& seed) { return seed.onset.has_value(); };
    return AnySeed(task, has)
               ? ""
               : absl::StrCat(task.task, ": no seed's generalization accuracy (of ", Seeds(seeds),
                              ") stays above 0.80 to its last report, so there is no onset; more "
                              "steps (train.steps) may bring one.");
  };
  if (!AddPanels(series, tasks, AddOnset, why_not, &figure, missing)) return figure;
  LegendForProvisional(tasks, &figure);
  ForSeeds(tasks, [&](const TaskResult& task, const DepthResult& depth, const SeedResult& seed) {
    const Curve& gen = seed.job->curves[kGenAccuracy];
    if (gen.empty()) return;
    figure.csv += CsvRow({task.task, absl::StrCat(depth.depth), absl::StrCat(seed.job->job.seed()),
                          StateWord(seed.job->job.state()), StepCell(seed.onset),
                          absl::StrCat(gen.back().step)});
  });
  return figure;
}

}  // namespace coppice::cli
