#include "worker/trainer/config.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/nearest_word.h"
#include "common/base/status_macros.h"
#include "worker/trainer/strict_json.h"

namespace coppice::trainer {
namespace {

using nlohmann::json;

constexpr int64_t kMaxSteps =
    std::numeric_limits<int32_t>::max();  // the dropout counter has 32 bits for it
constexpr int64_t kMaxCount = 100'000'000;
constexpr double kHuge = 1e30;
constexpr double kBelowOne = 1 - std::numeric_limits<double>::epsilon() / 2;
constexpr uint64_t kMaxSeeds = 1'000'000;

void ReadModel(StrictObject object, ModelConfig* model) {
  object.Int("d_model", 2, 65536, &model->d_model);
  object.Int("heads", 1, kMaxHeads, &model->heads);
  object.Int("d_ff", 1, 1 << 20, &model->d_ff);
  object.Number("dropout", 0, 0.99, &model->dropout);
  if (model->d_model % 2 != 0)
    object.Fail("d_model", "must be even (sine and cosine positions come in pairs)");
  if (model->d_model % model->heads != 0) {
    object.Fail("heads",
                absl::StrCat("must divide d_model (", model->d_model, "), but is ", model->heads));
  }
  object.Finish();
}

void ReadTrain(StrictObject object, TrainConfig* train) {
  object.Int("steps", 1, kMaxSteps, &train->steps);
  object.Int("batch_size", 1, kMaxBatchSize, &train->batch_size);
  object.Number("learning_rate", 0, kHuge, &train->learning_rate);
  object.Int("warmup_steps", 0, kMaxSteps, &train->warmup_steps);
  object.Int("lr_decay_steps", 1, kMaxSteps, &train->lr_decay_steps);
  object.Number("beta1", 0, kBelowOne, &train->beta1);
  object.Number("beta2", 0, kBelowOne, &train->beta2);
  object.Number("epsilon", 0, 1, &train->epsilon);
  object.Number("weight_decay", 0, kHuge, &train->weight_decay);
  object.Number("clip_norm", 0, kHuge, &train->clip_norm);
  object.String("precision", &train->precision);
  if (train->lr_decay_steps <= train->warmup_steps) {
    object.Fail("lr_decay_steps",
                absl::StrCat("must be greater than warmup_steps (", train->warmup_steps, ")"));
  }
  if (train->clip_norm == 0) object.Fail("clip_norm", "must be greater than 0");
  if (train->precision != "float32" && train->precision != "tf32" &&
      train->precision != "bfloat16") {
    object.Fail("precision",
                absl::StrCat("must be float32, tf32 or bfloat16, not \"", train->precision, "\""));
  }
  object.Finish();
}

void ReadData(StrictObject object, DataConfig* data) {
  object.Unsigned("seed", &data->seed);
  object.Int("train", 1, kMaxCount, &data->train);
  object.Int("val", 1, kMaxCount, &data->val);
  object.Int("test", 1, kMaxCount, &data->test);
  object.Int("gen", 1, kMaxCount, &data->gen);
  object.String("directory", &data->directory);
  StrictObject files = object.Object("files");
  files.String("train", &data->files.train);
  files.String("val", &data->files.val);
  files.String("test", &data->files.test);
  files.String("gen", &data->files.gen);
  files.Finish();
  object.Finish();
}

void ReadReport(StrictObject object, ReportConfig* report) {
  object.Int("every", 1, kMaxSteps, &report->every);
  object.Int("decode_sentences", 1, kMaxCount, &report->decode_sentences);
  object.Int("dyck_prefixes", 1, kMaxCount, &report->dyck_prefixes);
  // The worker's: when it takes the trainer for one that hangs.
  int64_t stall_seconds = 0;
  object.Int("stall_seconds", 1, kMaxSteps, &stall_seconds);
  StrictObject probes = object.Object("probes");
  probes.Int("sentences", 0, kMaxCount, &report->probe_sentences);
  probes.Int("every", 1, kMaxSteps, &report->probe_every);
  probes.Finish();
  object.Finish();
}

void ReadCheckpoint(StrictObject object, CheckpointConfig* checkpoint) {
  object.Int("every", 1, kMaxSteps, &checkpoint->every);
  object.Int("keep", 1, kMaxCount, &checkpoint->keep);
  object.Int("keep_every", 0, kMaxSteps, &checkpoint->keep_every);
  object.Finish();
}

void ReadRun(StrictObject object, RunConfig* run) {
  object.Require("task");
  object.Require("depth");
  std::string task;
  object.String("task", &task);
  if (object.Has("task")) {
    const std::optional<Task> parsed = ParseTask(task);
    if (parsed.has_value()) {
      run->task = *parsed;
    } else {
      object.Fail("task", absl::StrCat("must be question, tense or dyck, not \"", task, "\"",
                                       AfterSemicolon(DidYouMeanTask(task))));
    }
  }
  if (run->task == Task::kDyck) {
    run->data.train = 200000;
    run->data.val = 20000;
    run->data.gen = 20000;
    run->report.probe_sentences = 500;
    run->train.steps = 400000;
  }
  object.Int("depth", 1, 256, &run->depth);
  ReadModel(object.Object("model"), &run->model);
  ReadTrain(object.Object("train"), &run->train);
  ReadData(object.Object("data"), &run->data);
  ReadReport(object.Object("report"), &run->report);
  ReadCheckpoint(object.Object("checkpoint"), &run->checkpoint);
  if (run->train.batch_size > run->data.train) {
    object.Fail("train.batch_size",
                absl::StrCat("must not be larger than data.train (", run->data.train, ")"));
  }
  object.Finish();
}

bool IsDevice(absl::string_view device) {
  if (device == "auto" || device == "cpu" || device == "cuda") return true;
  int index = 0;
  return absl::ConsumePrefix(&device, "cuda:") && absl::SimpleAtoi(device, &index) && index >= 0;
}

}  // namespace

absl::StatusOr<PackSpec> ParsePackSpec(const json& document) {
  absl::Status status;
  PackSpec spec;
  StrictObject top(&document, "", &status);
  top.Require("run");
  top.Require("members");
  ReadRun(top.Object("run"), &spec.run);
  std::set<uint64_t> seeds;
  for (StrictObject& object : top.Objects("members")) {
    MemberSpec member;
    object.Require("seed");
    object.Require("checkpoint_dir");
    object.Unsigned("seed", &member.seed);
    object.String("checkpoint_dir", &member.checkpoint_dir);
    object.String("resume", &member.resume);
    if (status.ok() && member.checkpoint_dir.empty())
      object.Fail("checkpoint_dir", "must not be empty");
    if (!seeds.insert(member.seed).second)
      object.Fail("seed", absl::StrCat("is given twice: ", member.seed));
    object.Finish();
    spec.members.push_back(std::move(member));
  }
  top.Int("threads", 1, 1024, &spec.threads);
  top.String("device", &spec.device);
  top.Bool("prune", &spec.prune);
  if (spec.members.empty()) top.Fail("members", "must not be empty");
  if (!IsDevice(spec.device)) {
    top.Fail("device", absl::StrCat("must be auto, cpu or cuda (cuda:1 for the second), not \"",
                                    spec.device, "\""));
  }
  top.Finish();
  if (!status.ok()) return status;
  return spec;
}

absl::StatusOr<PackSpec> ParsePackSpecText(absl::string_view text) {
  COPPICE_ASSIGN_OR_RETURN(const json document, ParseStrictJson(text));
  return ParsePackSpec(document);
}

absl::StatusOr<RunConfig> ParseRunConfigText(absl::string_view text) {
  COPPICE_ASSIGN_OR_RETURN(const json document, ParseStrictJson(text));
  absl::Status status;
  RunConfig run;
  ReadRun(StrictObject(&document, "run", &status), &run);
  if (!status.ok()) return status;
  return run;
}

DatasetOptions DatasetOptionsOf(const RunConfig& run) {
  DatasetOptions options;
  options.task = run.task;
  options.seed = run.data.seed;
  options.train = static_cast<int32_t>(run.data.train);
  options.val = static_cast<int32_t>(run.data.val);
  options.test = static_cast<int32_t>(run.data.test);
  options.gen = static_cast<int32_t>(run.data.gen);
  options.directory = run.data.directory;
  options.files = run.data.files;
  options.decode_sentences = static_cast<int32_t>(run.report.decode_sentences);
  options.dyck_prefixes = static_cast<int32_t>(run.report.dyck_prefixes);
  return options;
}

RunFacts FactsOf(const RunConfig& run) {
  RunFacts facts;
  facts.task = std::string(TaskName(run.task));
  facts.d_model = run.model.d_model;
  facts.steps = run.train.steps;
  facts.batch_size = run.train.batch_size;
  facts.warmup_steps = run.train.warmup_steps;
  facts.lr_decay_steps = run.train.lr_decay_steps;
  facts.train_sentences = run.data.train;
  facts.val_sentences = run.data.val;
  facts.gen_sentences = run.data.gen;
  facts.report_every = run.report.every;
  facts.probe_sentences = run.report.probe_sentences;
  facts.probe_every = run.report.probe_every;
  facts.checkpoint_every = run.checkpoint.every;
  facts.checkpoint_keep_every = run.checkpoint.keep_every;
  return facts;
}

json ToJson(const RunConfig& run) {
  const TrainConfig& train = run.train;
  json document = {
      {"task", std::string(TaskName(run.task))},
      {"depth", run.depth},
      {"model",
       {{"d_model", run.model.d_model},
        {"heads", run.model.heads},
        {"d_ff", run.model.d_ff},
        {"dropout", run.model.dropout}}},
      {"train",
       {{"steps", train.steps},
        {"batch_size", train.batch_size},
        {"learning_rate", train.learning_rate},
        {"warmup_steps", train.warmup_steps},
        {"lr_decay_steps", train.lr_decay_steps},
        {"beta1", train.beta1},
        {"beta2", train.beta2},
        {"epsilon", train.epsilon},
        {"weight_decay", train.weight_decay},
        {"clip_norm", train.clip_norm},
        {"precision", train.precision}}},
      {"data",
       {{"seed", run.data.seed},
        {"train", run.data.train},
        {"val", run.data.val},
        {"test", run.data.test},
        {"gen", run.data.gen},
        {"directory", run.data.directory}}},
      {"report",
       {{"every", run.report.every},
        {"decode_sentences", run.report.decode_sentences},
        {"dyck_prefixes", run.report.dyck_prefixes},
        {"probes",
         {{"sentences", run.report.probe_sentences}, {"every", run.report.probe_every}}}}},
      {"checkpoint",
       {{"every", run.checkpoint.every},
        {"keep", run.checkpoint.keep},
        {"keep_every", run.checkpoint.keep_every}}},
  };
  // Only where there are some: runs of before there were any are the same runs.
  const SplitFiles& files = run.data.files;
  if (files.any()) {
    document["data"]["files"] = {
        {"train", files.train}, {"val", files.val}, {"test", files.test}, {"gen", files.gen}};
  }
  return document;
}

std::string DescribeDifference(const RunConfig& wanted, const RunConfig& saved) {
  json here = ToJson(wanted);
  json there = ToJson(saved);
  for (json* side : {&here, &there}) {
    side->erase("checkpoint");
    (*side)["train"].erase("steps");
  }
  const json flat_here = here.flatten();
  const json flat_there = there.flatten();
  const auto text = [](const json& flat, const std::string& key) {
    const auto found = flat.find(key);
    return found == flat.end() ? std::string("absent") : found->dump();
  };
  json keys = flat_here;
  keys.update(flat_there);
  for (const auto& item : keys.items()) {
    const std::string ours = text(flat_here, item.key());
    const std::string theirs = text(flat_there, item.key());
    if (ours == theirs) continue;
    std::string key = "run";
    for (const char c : item.key()) key += c == '/' ? '.' : c;
    return absl::StrCat(key, " is ", ours, " here and ", theirs, " in the checkpoint");
  }
  return "";
}

absl::StatusOr<std::vector<uint64_t>> ParseSeeds(absl::string_view text) {
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("seeds must be a range or a list such as 0-9 or 0,2,5, not \"", text, "\""));
  std::vector<uint64_t> seeds;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint64_t first = 0;
    uint64_t last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || last < first) {
      return malformed;
    }
    if (last - first >= kMaxSeeds - seeds.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("at most ", kMaxSeeds, " seeds can be given, not \"", text, "\""));
    }
    for (uint64_t seed = first;; ++seed) {
      seeds.push_back(seed);
      if (seed == last) break;
    }
  }
  std::vector<uint64_t> sorted = seeds;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("seed ", *twice, " is given twice in \"", text, "\""));
  }
  return seeds;
}

}  // namespace coppice::trainer
