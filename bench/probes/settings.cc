#include "bench/probes/settings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace coppice::bench {
namespace {

constexpr double kLargestShare = 0.1;

Setting Paper(trainer::Task task, int64_t depth) {
  trainer::RunConfig run;
  run.task = task;
  run.depth = depth;
  if (task == trainer::Task::kDyck) {
    run.data.train = 200000;
    run.data.val = run.data.gen = 20000;
    run.report.probe_sentences = 500;
  }
  return {absl::StrCat(trainer::TaskName(task), ", depth ", depth), run, kLargestShare};
}

Setting Demo() {
  trainer::RunConfig run;
  run.depth = 2;
  run.model = {.d_model = 64, .heads = 4, .d_ff = 128};
  run.data.train = 5000;
  run.data.val = run.data.test = run.data.gen = 200;
  run.report.every = 300;
  run.report.probe_sentences = 200;
  return {"demo (d=64), question, depth 2", run, 0};
}

}  // namespace

std::vector<Setting> ProbeSettings() {
  using trainer::Task;
  return {Paper(Task::kQuestion, 2), Paper(Task::kQuestion, 6), Paper(Task::kQuestion, 10),
          Paper(Task::kTense, 4),    Paper(Task::kDyck, 6),     Demo()};
}

trainer::RunConfig WithPartOfTheEvaluation(trainer::RunConfig run, int64_t part) {
  for (int64_t* count :
       {&run.data.val, &run.data.gen, &run.report.decode_sentences, &run.report.dyck_prefixes})
    *count = std::max<int64_t>(1, *count / part);
  run.data.test = 1;  // never read
  return run;
}

trainer::RunConfig TinyRun(trainer::Task task) {
  trainer::RunConfig run;
  run.task = task;
  run.depth = 2;
  run.model = {.d_model = 16, .heads = 2, .d_ff = 24};
  run.data.train = 400;
  run.data.val = run.data.test = run.data.gen = 20;
  run.report.probe_sentences = 60;
  return run;
}

}  // namespace coppice::bench
