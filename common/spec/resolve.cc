#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/spec/difference.h"
#include "common/spec/internal.h"
#include "common/spec/spec.h"

namespace coppice::spec {
namespace {

// SweepSpec and Override share the names of their setting groups, not a type.
template <typename Settings>
void MergeSettings(const Settings& from, v1::RunConfig* run) {
  if (from.has_model()) run->mutable_model()->MergeFrom(from.model());
  if (from.has_train()) run->mutable_train()->MergeFrom(from.train());
  if (from.has_data()) run->mutable_data()->MergeFrom(from.data());
  if (from.has_report()) run->mutable_report()->MergeFrom(from.report());
  if (from.has_checkpoint()) run->mutable_checkpoint()->MergeFrom(from.checkpoint());
}

// Whether the field at the end of the path is set.
bool Sets(const google::protobuf::Message& settings, const std::vector<std::string>& path) {
  const google::protobuf::Message* at = &settings;
  for (size_t i = 0; i < path.size(); ++i) {
    const auto* field = at->GetDescriptor()->FindFieldByName(path[i]);
    if (field == nullptr || field->is_repeated() || !at->GetReflection()->HasField(*at, field))
      return false;
    if (i + 1 == path.size()) return true;
    if (field->message_type() == nullptr) return false;
    at = &at->GetReflection()->GetMessage(*at, field);
  }
  return false;
}

}  // namespace

bool Applies(const v1::Where& where, const std::string& task, uint32_t depth) {
  return (where.task().empty() || absl::c_linear_search(where.task(), task)) &&
         (where.depth().empty() || absl::c_linear_search(where.depth(), depth));
}

v1::RunConfig PaperDefaults(const std::string& task) {
  const bool dyck = task == "dyck";
  v1::RunConfig run;
  run.set_task(task);
  v1::ModelSpec* model = run.mutable_model();
  model->set_d_model(512);
  model->set_heads(8);
  model->set_d_ff(2048);
  model->set_dropout(0.1);
  v1::TrainSpec* train = run.mutable_train();
  train->set_steps(dyck ? 400'000 : 300'000);
  train->set_batch_size(8);
  train->set_learning_rate(1e-4);
  train->set_warmup_steps(10'000);
  train->set_lr_decay_steps(2'000'000);
  train->set_beta1(0.9);
  train->set_beta2(0.999);
  train->set_epsilon(1e-7);
  train->set_weight_decay(0);
  train->set_clip_norm(1);
  train->set_precision("tf32");
  v1::DataSpec* data = run.mutable_data();
  data->set_seed(0);
  data->set_train(dyck ? 200'000 : 100'000);
  data->set_val(dyck ? 20'000 : 1'000);
  data->set_test(10'000);
  data->set_gen(dyck ? 20'000 : 10'000);
  data->set_directory("");
  v1::ReportSpec* report = run.mutable_report();
  report->set_every(3'000);
  report->set_decode_sentences(2'000);
  report->set_dyck_prefixes(5'000);
  report->mutable_probes()->set_sentences(dyck ? 500 : 10'000);
  report->mutable_probes()->set_every(1);
  v1::CheckpointSpec* checkpoint = run.mutable_checkpoint();
  checkpoint->set_every(15'000);
  checkpoint->set_keep(2);
  checkpoint->set_keep_every(0);
  return run;
}

v1::RunConfig ResolveRun(const v1::SweepSpec& spec, const std::string& task, uint32_t depth) {
  v1::RunConfig run = PaperDefaults(task);
  run.set_depth(depth);
  MergeSettings(spec, &run);
  for (const v1::Override& change : spec.overrides()) {
    if (Applies(change.where(), task, depth)) MergeSettings(change, &run);
  }
  return run;
}

std::string SettingPath(const v1::SweepSpec& spec, const std::string& task, uint32_t depth,
                        const std::string& setting) {
  const std::vector<std::string> names = absl::StrSplit(setting, '.');
  for (int i = spec.overrides_size() - 1; i >= 0; --i) {
    const v1::Override& change = spec.overrides(i);
    if (Applies(change.where(), task, depth) && Sets(change, names))
      return absl::StrCat("overrides[", i, "].", setting);
  }
  return Sets(spec, names) ? setting : "";
}

double WorkPerStep(const v1::RunConfig& run) {
  const bool dyck = run.task() == "dyck";
  // Words of a mean example with its start token, and a vocabulary close enough for a measure.
  const double tokens = dyck ? 51 : 27;
  const double vocabulary = dyck ? 43 : 80;
  const double d = run.model().d_model();
  const double layer = 4 * d * d + 2 * d * run.model().d_ff() + 2 * d * tokens;
  // One forward pass, and a backward pass of twice its cost.
  return 3 * run.train().batch_size() * tokens * (run.depth() * layer + d * vocabulary);
}

bool SameSweep(const v1::SweepSpec& a, const v1::SweepSpec& b) {
  return a.name() == b.name() && Differences(a, b).empty();
}

int32_t Priority(const v1::SweepSpec& spec) { return spec.has_priority() ? spec.priority() : 0; }

uint32_t MaxFailures(const v1::SweepSpec& spec) {
  return spec.has_max_failures() ? spec.max_failures() : 3;
}

}  // namespace coppice::spec
