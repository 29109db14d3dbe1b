#include "common/base/checkpoint_file.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/safetensors.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice {
namespace {

constexpr std::pair<absl::string_view, DType> kReport[] = {{"report.loss_sum", DType::kF64},
                                                           {"report.grad_norm", DType::kF64},
                                                           {"report.loss_steps", DType::kI64},
                                                           {"report.reported_step", DType::kI64}};

absl::StatusOr<std::string> Field(const std::map<std::string, std::string>& metadata,
                                  const std::string& key) {
  const auto it = metadata.find(key);
  if (it != metadata.end()) return it->second;
  return absl::DataLossError(absl::StrCat("metadata has no ", key));
}

template <typename T>
absl::StatusOr<T> Integer(const std::map<std::string, std::string>& metadata,
                          const std::string& key) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, Field(metadata, key));
  T value = 0;
  if (absl::SimpleAtoi(text, &value)) return value;
  return absl::DataLossError(absl::StrCat("metadata ", key, " is not an integer: \"", text, "\""));
}

absl::Status ReadRun(const std::string& text, CheckpointSummary* summary) {
  const nlohmann::json run = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!run.is_object() || !run.contains("task") || !run["task"].is_string() ||
      !run.contains("depth") || !run["depth"].is_number_unsigned() ||
      run["depth"].get<uint64_t>() > 1'000'000) {
    return absl::DataLossError("its run names no task and depth");
  }
  summary->task = run["task"].get<std::string>();
  summary->depth = run["depth"].get<uint32_t>();
  return absl::OkStatus();
}

absl::Status CheckTensor(const std::map<std::string, TensorInfo>& tensors, const std::string& name,
                         DType dtype, const std::vector<int64_t>& shape) {
  const auto it = tensors.find(name);
  if (it == tensors.end()) return absl::DataLossError(absl::StrCat("has no tensor ", name));
  if (it->second.dtype == dtype && it->second.shape == shape) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("tensor ", name, " has another type or shape"));
}

// Counts the parameters. Tensors of other names are allowed, for later versions may add some.
absl::StatusOr<uint64_t> CheckTensors(const std::map<std::string, TensorInfo>& tensors) {
  for (const auto& [name, dtype] : kReport)
    COPPICE_RETURN_IF_ERROR(CheckTensor(tensors, std::string(name), dtype, {1}));
  uint64_t parameters = 0;
  for (const auto& [name, tensor] : tensors) {
    absl::string_view parameter = name;
    if (absl::ConsumePrefix(&parameter, kModelPrefix)) {
      for (const absl::string_view prefix : {kModelPrefix, kAdamMPrefix, kAdamVPrefix}) {
        COPPICE_RETURN_IF_ERROR(
            CheckTensor(tensors, absl::StrCat(prefix, parameter), DType::kF32, tensor.shape));
      }
      parameters += tensor.bytes / static_cast<uint64_t>(DTypeSize(DType::kF32));
    } else if (absl::ConsumePrefix(&parameter, kAdamMPrefix) ||
               absl::ConsumePrefix(&parameter, kAdamVPrefix)) {
      COPPICE_RETURN_IF_ERROR(
          CheckTensor(tensors, absl::StrCat(kModelPrefix, parameter), DType::kF32, tensor.shape));
    }
  }
  if (parameters == 0) return absl::DataLossError("has no parameters");
  return parameters;
}

absl::Status Fill(const SafetensorsSummary& file, CheckpointSummary* summary) {
  COPPICE_ASSIGN_OR_RETURN(const CheckpointIdentity identity,
                           ReadCheckpointIdentity(file.metadata));
  summary->seed = identity.seed;
  summary->step = identity.step;
  COPPICE_RETURN_IF_ERROR(ReadRun(identity.run, summary));
  COPPICE_ASSIGN_OR_RETURN(summary->parameters, CheckTensors(file.tensors));
  summary->tensors = file.tensors.size();
  summary->digest = file.digest;
  summary->bytes = file.bytes;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckpointIdentity> ReadCheckpointIdentity(
    const std::map<std::string, std::string>& metadata) {
  COPPICE_ASSIGN_OR_RETURN(const std::string format, Field(metadata, "format"));
  COPPICE_ASSIGN_OR_RETURN(const std::string version, Field(metadata, "version"));
  if (format != kCheckpointFormat)
    return absl::FailedPreconditionError(absl::StrCat("is no coppice checkpoint but ", format));
  if (version != kCheckpointVersion) {
    return absl::FailedPreconditionError(absl::StrCat("has checkpoint version ", version,
                                                      "; this program (", COPPICE_VERSION,
                                                      ") reads version ", kCheckpointVersion));
  }
  CheckpointIdentity identity;
  COPPICE_ASSIGN_OR_RETURN(identity.seed, Integer<uint64_t>(metadata, "seed"));
  COPPICE_ASSIGN_OR_RETURN(identity.step, Integer<int64_t>(metadata, "step"));
  if (identity.step < 0) return absl::DataLossError("metadata step is negative");
  COPPICE_ASSIGN_OR_RETURN(identity.run, Field(metadata, "run"));
  return identity;
}

absl::StatusOr<CheckpointSummary> InspectCheckpoint(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const SafetensorsSummary file, InspectSafetensors(path));
  CheckpointSummary summary;
  const absl::Status status = Fill(file, &summary);
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  return summary;
}

}  // namespace coppice
