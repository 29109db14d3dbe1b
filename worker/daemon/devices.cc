#include "worker/daemon/devices.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/files.h"
#include "common/base/limits.h"
#include "common/base/printable.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"

namespace coppice::worker {
namespace {

constexpr char kVisible[] = "CUDA_VISIBLE_DEVICES";
constexpr size_t kMaxEntryBytes = 128;  // a MIG device's name has about 60
constexpr size_t kMaxShownListBytes = 200;

bool IsIndex(absl::string_view text) {
  return !text.empty() && text.size() <= 4 &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// True if CUDA would take the entry for a device's name.
bool IsEntry(absl::string_view entry) {
  if (entry.empty() || entry.size() > kMaxEntryBytes) return false;
  if (IsIndex(entry)) return true;
  return (absl::StartsWith(entry, "GPU-") || absl::StartsWith(entry, "MIG-")) &&
         std::all_of(entry.begin(), entry.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '/';
         });
}

absl::StatusOr<std::vector<std::string>> EntriesOf(absl::string_view text) {
  const std::string shown = PrintableLine(Utf8Head(text, kMaxShownListBytes));
  std::vector<std::string> entries;
  std::set<std::string> seen;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!IsEntry(part)) break;
    if (!seen.insert(std::string(part)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("CUDA_VISIBLE_DEVICES is '", shown, "' and names ", part,
                       " twice, with which CUDA finds no device; name each device once"));
    }
    entries.emplace_back(part);
  }
  return entries;
}

std::vector<std::string> Indexes(size_t count) {
  std::vector<std::string> entries;
  for (size_t i = 0; i < count; ++i) entries.push_back(absl::StrCat(i));
  return entries;
}

size_t DeviceFiles(const std::string& root) {
  const auto names = ListDirectory(root + "/dev");
  if (!names.ok()) return 0;
  return static_cast<size_t>(std::count_if(names->begin(), names->end(), [](absl::string_view n) {
    return absl::ConsumePrefix(&n, "nvidia") && IsIndex(n);
  }));
}

// "GPU 2", "GPUs 0, 1".
std::string Named(const std::vector<std::string>& entries) {
  return absl::StrCat(entries.size() == 1 ? "GPU " : "GPUs ", absl::StrJoin(entries, ", "));
}

absl::StatusOr<std::vector<std::string>> Chosen(const VisibleGpus& gpus, const DeviceSpec& device) {
  if (device.kind == DeviceKind::kCpu) return std::vector<std::string>();
  if (device.kind == DeviceKind::kAuto) return gpus.entries;
  const auto entries = gpus.entries.empty() ? Indexes(gpus.not_granted) : gpus.entries;
  if (!device.index.has_value()) {
    // A GPU without a file of its own (in Linux below Windows) is left to the trainer.
    if (!entries.empty() || gpus.source != kVisible) return entries;
    return absl::InvalidArgumentError(
        "--device cuda, but CUDA_VISIBLE_DEVICES names no GPU; unset it or name one");
  }
  const auto index = static_cast<size_t>(*device.index);
  if (index < entries.size()) return std::vector<std::string>{entries[index]};
  return absl::InvalidArgumentError(absl::StrCat(
      "--device ", DeviceSpecText(device), ": there ",
      entries.size() == 1 ? "is 1 GPU" : absl::StrCat("are ", entries.size(), " GPUs"), " (",
      gpus.source, "), counted from cuda:0; name one of them, or leave the number out"));
}

// For a machine on which no GPU is counted.
void PlanWithoutGpus(const VisibleGpus& gpus, SlotPlan* plan) {
  const std::string slots = absl::StrCat(plan->slots, plan->slots == 1 ? " slot" : " slots");
  if (plan->device.kind == DeviceKind::kCpu) {
    plan->summary = slots + " on the CPU (--device cpu)";
    return;
  }
  plan->summary = absl::StrCat(slots, ", no GPUs (", gpus.source, ")");
  if (gpus.not_granted == 0) return;
  plan->device.kind = DeviceKind::kCpu;
  plan->warning =
      "the node has GPUs, but Slurm granted none to this job, so the trainers use the CPU; ask "
      "with --gpus or --gres=gpu:N, or give --device cuda where the node is yours alone";
}

}  // namespace

absl::StatusOr<VisibleGpus> FindGpus(const EnvironmentLookup& env, const Allocation& allocation,
                                     const std::string& root) {
  VisibleGpus gpus;
  const size_t files = DeviceFiles(root);
  if (const char* visible = env(kVisible)) {
    gpus.source = kVisible;
    COPPICE_ASSIGN_OR_RETURN(gpus.entries, EntriesOf(visible));
  } else if (allocation.system == "slurm") {
    uint32_t count = 0;
    const char* granted = env("SLURM_GPUS_ON_NODE");
    if (granted != nullptr && absl::SimpleAtoi(granted, &count) && count > 0) {
      gpus.source = "SLURM_GPUS_ON_NODE";
      gpus.entries = Indexes(std::min(count, kMaxSlots));
    } else {
      gpus.source = "the Slurm job has none";
      gpus.not_granted = static_cast<uint32_t>(files);
    }
  } else {
    gpus.source = files > 0 ? "the files /dev/nvidia0 and on" : "no /dev/nvidia0";
    gpus.entries = Indexes(files);
  }
  if (gpus.entries.size() <= kMaxSlots) return gpus;
  return absl::InvalidArgumentError(absl::StrCat(gpus.source, " names ", gpus.entries.size(),
                                                 " GPUs; a worker takes at most ", kMaxSlots));
}

absl::StatusOr<SlotPlan> PlanSlots(const VisibleGpus& gpus, const DeviceSpec& device,
                                   uint32_t slots) {
  SlotPlan plan;
  plan.device = device;
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> chosen, Chosen(gpus, device));
  plan.slots = slots > 0 ? slots : std::max(1u, static_cast<uint32_t>(chosen.size()));
  if (chosen.empty()) {
    PlanWithoutGpus(gpus, &plan);
    return plan;
  }
  if (device.index.has_value()) plan.device.index.reset();  // the trainer sees this GPU alone
  for (uint32_t i = 0; i < plan.slots; ++i) plan.devices.push_back(chosen[i % chosen.size()]);
  plan.summary =
      absl::StrCat(plan.slots, plan.slots == 1 ? " slot" : " slots", slots > 0 ? " (--slots)" : "",
                   ", each with one of ", Named(chosen), " (",
                   device.index ? "--device " + DeviceSpecText(device) : gpus.source, ")");
  if (plan.slots < chosen.size()) {
    plan.warning = absl::StrCat(Named({chosen.begin() + plan.slots, chosen.end()}),
                                " would stay idle with --slots ", slots,
                                "; leave --slots out, or give --slots ", chosen.size());
  } else if (plan.slots > chosen.size() && !device.index.has_value()) {
    plan.warning =
        absl::StrCat("--slots ", slots, " are more than the ", Named(chosen),
                     ", so slots share a GPU; --pack trains several jobs in one slot faster");
  }
  return plan;
}

}  // namespace coppice::worker
