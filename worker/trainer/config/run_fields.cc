#include "worker/trainer/config/run_fields.h"

#include <optional>
#include <type_traits>

namespace coppice::trainer {
namespace {

using settings::Value;

void Set(const Value& value, const Field& field) {
  std::visit(
      [&](auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        if constexpr (std::is_same_v<To, Task>) {
          *to = ParseTask(std::get<std::string>(value)).value_or(*to);
        } else if constexpr (std::is_same_v<To, settings::Precision>) {
          *to = settings::PrecisionFromText(std::get<std::string>(value)).value_or(*to);
        } else if constexpr (std::is_same_v<To, std::string>) {
          *to = std::get<std::string>(value);
        } else if (const auto* whole = std::get_if<int64_t>(&value)) {
          *to = static_cast<To>(*whole);
        } else {
          *to = static_cast<To>(std::get<double>(value));
        }
      },
      field);
}

Value Get(const Field& field) {
  return std::visit(
      [](auto* from) -> Value {
        using From = std::remove_pointer_t<decltype(from)>;
        if constexpr (std::is_same_v<From, Task>) {
          return std::string(TaskName(*from));
        } else if constexpr (std::is_same_v<From, settings::Precision>) {
          return std::string(settings::PrecisionText(*from));
        } else if constexpr (std::is_same_v<From, uint64_t>) {
          return static_cast<int64_t>(*from);
        } else {
          return *from;
        }
      },
      field);
}

}  // namespace

const std::vector<RunField>& RunFields() {
  static const auto* const fields = new std::vector<RunField>{
      {"task", [](RunConfig& r) -> Field { return &r.task; }},
      {"depth", [](RunConfig& r) -> Field { return &r.depth; }},
      {"model.d_model", [](RunConfig& r) -> Field { return &r.model.d_model; }},
      {"model.heads", [](RunConfig& r) -> Field { return &r.model.heads; }},
      {"model.d_ff", [](RunConfig& r) -> Field { return &r.model.d_ff; }},
      {"model.dropout", [](RunConfig& r) -> Field { return &r.model.dropout; }},
      {"train.steps", [](RunConfig& r) -> Field { return &r.train.steps; }},
      {"train.batch_size", [](RunConfig& r) -> Field { return &r.train.batch_size; }},
      {"train.learning_rate", [](RunConfig& r) -> Field { return &r.train.learning_rate; }},
      {"train.warmup_steps", [](RunConfig& r) -> Field { return &r.train.warmup_steps; }},
      {"train.lr_decay_steps", [](RunConfig& r) -> Field { return &r.train.lr_decay_steps; }},
      {"train.beta1", [](RunConfig& r) -> Field { return &r.train.beta1; }},
      {"train.beta2", [](RunConfig& r) -> Field { return &r.train.beta2; }},
      {"train.epsilon", [](RunConfig& r) -> Field { return &r.train.epsilon; }},
      {"train.weight_decay", [](RunConfig& r) -> Field { return &r.train.weight_decay; }},
      {"train.clip_norm", [](RunConfig& r) -> Field { return &r.train.clip_norm; }},
      {"train.precision", [](RunConfig& r) -> Field { return &r.train.precision; }},
      {"data.seed", [](RunConfig& r) -> Field { return &r.data.seed; }},
      {"data.train", [](RunConfig& r) -> Field { return &r.data.train; }},
      {"data.val", [](RunConfig& r) -> Field { return &r.data.val; }},
      {"data.test", [](RunConfig& r) -> Field { return &r.data.test; }},
      {"data.gen", [](RunConfig& r) -> Field { return &r.data.gen; }},
      {"data.directory", [](RunConfig& r) -> Field { return &r.data.directory; }},
      {"data.files.train", [](RunConfig& r) -> Field { return &r.data.files.train; }},
      {"data.files.val", [](RunConfig& r) -> Field { return &r.data.files.val; }},
      {"data.files.test", [](RunConfig& r) -> Field { return &r.data.files.test; }},
      {"data.files.gen", [](RunConfig& r) -> Field { return &r.data.files.gen; }},
      {"report.every", [](RunConfig& r) -> Field { return &r.report.every; }},
      {"report.decode_sentences", [](RunConfig& r) -> Field { return &r.report.decode_sentences; }},
      {"report.dyck_prefixes", [](RunConfig& r) -> Field { return &r.report.dyck_prefixes; }},
      {"report.probes.sentences", [](RunConfig& r) -> Field { return &r.report.probe_sentences; }},
      {"report.probes.every", [](RunConfig& r) -> Field { return &r.report.probe_every; }},
      {"checkpoint.every", [](RunConfig& r) -> Field { return &r.checkpoint.every; }},
      {"checkpoint.keep", [](RunConfig& r) -> Field { return &r.checkpoint.keep; }},
      {"checkpoint.keep_every", [](RunConfig& r) -> Field { return &r.checkpoint.keep_every; }},
  };
  return *fields;
}

void SetFields(const settings::Values& values, RunConfig* run) {
  for (const RunField& field : RunFields()) {
    if (const Value* value = values.Find(field.path)) Set(*value, field.of(*run));
  }
}

settings::Values ValuesOf(const RunConfig& run) {
  RunConfig copy = run;
  settings::Values values;
  for (const RunField& field : RunFields()) values.Set(field.path, Get(field.of(copy)));
  return values;
}

}  // namespace coppice::trainer
