#include "worker/trainer/checkpoint/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/checkpoint_file.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace coppice::trainer {
namespace {

constexpr absl::string_view kPrefix = "step-";
constexpr absl::string_view kSuffix = ".safetensors";
constexpr char kGeneratorKey[] = "data_version";

struct Section {
  absl::string_view prefix;
  float* MemberRows::*row;
};
constexpr Section kSections[] = {{kModelPrefix, &MemberRows::parameters},
                                 {kAdamMPrefix, &MemberRows::adam_m},
                                 {kAdamVPrefix, &MemberRows::adam_v}};

absl::Status WithPath(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status ReadTensor(const SafetensorsFile& file, const std::string& name, DType dtype,
                        const std::vector<int64_t>& shape, void* out) {
  const auto it = file.tensors().find(name);
  if (it == file.tensors().end())
    return absl::FailedPreconditionError(absl::StrCat("has no tensor ", name));
  const TensorInFile& tensor = it->second;
  if (tensor.dtype != dtype || tensor.shape != shape) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tensor ", name, " is ", DTypeName(tensor.dtype), " [", absl::StrJoin(tensor.shape, ", "),
        "], not ", DTypeName(dtype), " [", absl::StrJoin(shape, ", "), "]"));
  }
  std::memcpy(out, tensor.data, tensor.bytes);
  return absl::OkStatus();
}

absl::Status CheckIdentity(const CheckpointIdentity& identity, const RunConfig& run,
                           uint64_t seed) {
  if (identity.seed != seed) {
    return absl::FailedPreconditionError(
        absl::StrCat("belongs to seed ", identity.seed, ", not to seed ", seed));
  }
  const absl::StatusOr<RunConfig> saved = ParseRunConfigText(identity.run);
  if (!saved.ok())
    return absl::DataLossError(absl::StrCat("its run is unreadable: ", saved.status().message()));
  const std::string difference = DescribeDifference(run, *saved);
  if (!difference.empty())
    return absl::FailedPreconditionError(absl::StrCat("is another run's: ", difference));
  return absl::OkStatus();
}

// Generated data are part of a run's identity. A file from before data had versions names none; its
// data had version 1.
absl::Status CheckGenerator(const std::map<std::string, std::string>& metadata,
                            const RunConfig& run) {
  if (DatasetOptionsOf(run).from_files()) return absl::OkStatus();
  const auto it = metadata.find(kGeneratorKey);
  const std::string theirs = it == metadata.end() ? "1" : it->second;
  const std::string ours = absl::StrCat(GeneratorVersion(run.task));
  if (theirs == ours) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("was trained on version ", theirs, " of the generated ", TaskName(run.task),
                   " data, and this program makes version ", ours, " (docs/science.md)"));
}

// Every token's text in the order of ids, as a JSON list.
std::string VocabularyJson(const Vocabulary& vocabulary) {
  nlohmann::json words = nlohmann::json::array();
  for (int32_t id = 0; id < vocabulary.size(); ++id)
    words.push_back(std::string(vocabulary.Word(id)));
  return words.dump();
}

absl::StatusOr<MemberProgress> ReadProgress(const SafetensorsFile& file, int64_t step,
                                            const RunConfig& run) {
  MemberProgress progress;
  progress.step = step;
  COPPICE_RETURN_IF_ERROR(
      ReadTensor(file, "report.loss_sum", DType::kF64, {1}, &progress.loss_sum));
  COPPICE_RETURN_IF_ERROR(
      ReadTensor(file, "report.grad_norm", DType::kF64, {1}, &progress.grad_norm));
  COPPICE_RETURN_IF_ERROR(
      ReadTensor(file, "report.loss_steps", DType::kI64, {1}, &progress.loss_steps));
  COPPICE_RETURN_IF_ERROR(
      ReadTensor(file, "report.reported_step", DType::kI64, {1}, &progress.reported_step));
  if (progress.reported_step < 0 || progress.reported_step > progress.step ||
      progress.loss_steps < 0 || progress.loss_steps > progress.step ||
      !std::isfinite(progress.loss_sum) || !std::isfinite(progress.grad_norm)) {
    return absl::DataLossError("its step and report counters contradict each other");
  }
  if (progress.step > run.train.steps) {
    return absl::FailedPreconditionError(absl::StrCat(
        "stands at step ", progress.step, ", past the run's last step ", run.train.steps));
  }
  return progress;
}

std::optional<int64_t> StepOfName(absl::string_view name) {
  int64_t step = 0;
  if (!absl::ConsumePrefix(&name, kPrefix) || !absl::ConsumeSuffix(&name, kSuffix) ||
      name.size() < 9 || !absl::SimpleAtoi(name, &step) || step < 0) {
    return std::nullopt;
  }
  return step;
}

// Decides by the file's own metadata, because any file may have a name like a checkpoint's.
bool IsOfRun(const std::string& path, const RunConfig& run, uint64_t seed) {
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Read(path);
  if (!file.ok()) return false;
  const absl::StatusOr<CheckpointIdentity> identity = ReadCheckpointIdentity(file->metadata());
  return identity.ok() && CheckIdentity(*identity, run, seed).ok();
}

}  // namespace

std::string CheckpointFileName(int64_t step) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%09lld", static_cast<long long>(step));
  return absl::StrCat(kPrefix, digits, kSuffix);
}

absl::StatusOr<SavedCheckpoint> SaveCheckpoint(const std::string& directory, const RunConfig& run,
                                               uint64_t seed, const ParameterLayout& layout,
                                               const MemberProgress& progress,
                                               const MemberRows& rows) {
  COPPICE_RETURN_IF_ERROR(MakeDirectories(directory));
  // Tensors of one element store doubles exactly. They come first, so that all tensors are aligned
  // in the file.
  std::vector<TensorToWrite> tensors = {
      {"report.loss_sum", DType::kF64, {1}, &progress.loss_sum},
      {"report.grad_norm", DType::kF64, {1}, &progress.grad_norm},
      {"report.loss_steps", DType::kI64, {1}, &progress.loss_steps},
      {"report.reported_step", DType::kI64, {1}, &progress.reported_step},
  };
  for (const Section& section : kSections) {
    for (const Parameter& parameter : layout.parameters()) {
      tensors.push_back({absl::StrCat(section.prefix, parameter.name), DType::kF32, parameter.shape,
                         rows.*section.row + parameter.offset});
    }
  }
  const std::map<std::string, std::string> metadata = {
      {"format", std::string(kCheckpointFormat)},
      {"version", std::string(kCheckpointVersion)},
      {"seed", absl::StrCat(seed)},
      {"step", absl::StrCat(progress.step)},
      {kGeneratorKey, absl::StrCat(GeneratorVersion(run.task))},
      {"vocabulary", VocabularyJson(VocabularyOf(run.task))},
      {"run", ToJson(run).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)},
  };
  SavedCheckpoint saved;
  saved.path = JoinPath(directory, CheckpointFileName(progress.step));
  COPPICE_ASSIGN_OR_RETURN(saved.file, WriteSafetensors(saved.path, tensors, metadata));
  return saved;
}

absl::StatusOr<MemberProgress> LoadCheckpoint(const std::string& path, const RunConfig& run,
                                              uint64_t seed, const ParameterLayout& layout,
                                              const MemberRows& rows) {
  COPPICE_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Read(path));
  const absl::StatusOr<CheckpointIdentity> identity = ReadCheckpointIdentity(file.metadata());
  if (!identity.ok()) return WithPath(identity.status(), path);
  const absl::Status ours = CheckIdentity(*identity, run, seed);
  if (!ours.ok()) return WithPath(ours, path);
  const absl::Status same_data = CheckGenerator(file.metadata(), run);
  if (!same_data.ok()) return WithPath(same_data, path);
  absl::StatusOr<MemberProgress> progress = ReadProgress(file, identity->step, run);
  if (!progress.ok()) return WithPath(progress.status(), path);
  for (const Section& section : kSections) {
    float* row = rows.*section.row;
    std::fill(row, row + layout.row_size(), 0.0f);
    for (const Parameter& parameter : layout.parameters()) {
      const absl::Status read = ReadTensor(file, absl::StrCat(section.prefix, parameter.name),
                                           DType::kF32, parameter.shape, row + parameter.offset);
      if (!read.ok()) return WithPath(read, path);
    }
  }
  return progress;
}

absl::StatusOr<std::vector<CheckpointFile>> ListCheckpoints(const std::string& directory) {
  std::vector<CheckpointFile> files;
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (absl::IsNotFound(names.status())) return files;
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const std::optional<int64_t> step = StepOfName(name);
    if (step.has_value()) files.push_back({*step, JoinPath(directory, name)});
  }
  std::sort(files.begin(), files.end(),
            [](const CheckpointFile& a, const CheckpointFile& b) { return a.step > b.step; });
  return files;
}

absl::Status PruneCheckpoints(const std::string& directory, const RunConfig& run, uint64_t seed) {
  const CheckpointConfig& config = run.checkpoint;
  COPPICE_ASSIGN_OR_RETURN(const std::vector<CheckpointFile> files, ListCheckpoints(directory));
  for (size_t i = static_cast<size_t>(config.keep); i < files.size(); ++i) {
    if (config.keep_every > 0 && files[i].step % config.keep_every == 0) continue;
    if (!IsOfRun(files[i].path, run, seed)) continue;
    COPPICE_RETURN_IF_ERROR(RemoveFile(files[i].path));
  }
  return absl::OkStatus();
}

}  // namespace coppice::trainer
