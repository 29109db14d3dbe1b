#include "worker/trainer/stacked/stacked_pack.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ATen/ops/empty.h"
#include "ATen/ops/from_blob.h"
#include "ATen/ops/zeros.h"
#include "worker/trainer/stacked/device_batch.h"
#include "worker/trainer/train/schedule.h"

namespace coppice::trainer {
namespace {

at::Tensor BytesOf(const std::vector<DeviceMember>& members) {
  return at::from_blob(const_cast<DeviceMember*>(members.data()),
                       {static_cast<int64_t>(members.size() * sizeof(DeviceMember))}, at::kByte);
}

at::Tensor FloatsOf(float* row, int64_t count) { return at::from_blob(row, {count}, at::kFloat); }

std::vector<DeviceMember> IdleMembers(int64_t count) {
  DeviceMember idle;
  idle.stopped = 1;
  return std::vector<DeviceMember>(count, idle);
}

}  // namespace

StackedPack::StackedPack(const StackedDevice* device, const ParameterLayout& layout,
                         const RunConfig& run, const StackedPackOptions& options)
    : layout_(layout),
      options_(options),
      largest_bucket_(BucketRows(options.largest_rows)),
      heads_(run.model.heads),
      update_(UpdateSettingsOf(run.train)),
      optimizer_(device->MakeOptimizer(options.dtype)),
      graphs_(device->MakeGraphs()) {
  const auto on_device = at::TensorOptions().device(device->torch_device());
  for (at::Tensor* rows : {&rows_.parameters, &rows_.gradients, &rows_.adam_m, &rows_.adam_v})
    *rows = at::zeros({options.members, layout.row_size()}, on_device.dtype(options.dtype));
  members_ = BytesOf(IdleMembers(options.members)).clone().to(device->torch_device());
  idle_members_ = members_.clone();
  batch_ = at::zeros({SlotBytes()}, on_device.dtype(at::kByte));
  idle_batch_ = at::zeros({SlotBytes()}, on_device.dtype(at::kByte));
  weights_ = Weights::View(rows_.parameters, layout_);
  gradients_ = Weights::View(rows_.gradients, layout_);
  model_ = std::make_unique<Transformer>(layout_, options.max_length, options.dtype,
                                         device->MakeOps(options.dtype), device->torch_device());
  RunStep(PackAt(idle_batch_, idle_members_, largest_bucket_));
}

int64_t StackedPack::SlotBytes() const { return BatchBytes(options_.members, largest_bucket_); }

void StackedPack::Upload(int64_t k, const MemberRows& rows) {
  const int64_t count = layout_.row_size();
  rows_.parameters[k].copy_(FloatsOf(rows.parameters, count));
  rows_.adam_m[k].copy_(FloatsOf(rows.adam_m, count));
  rows_.adam_v[k].copy_(FloatsOf(rows.adam_v, count));
}

void StackedPack::Download(int64_t k, const MemberRows& rows) const {
  const int64_t count = layout_.row_size();
  FloatsOf(rows.parameters, count).copy_(rows_.parameters[k]);
  FloatsOf(rows.adam_m, count).copy_(rows_.adam_m[k]);
  FloatsOf(rows.adam_v, count).copy_(rows_.adam_v[k]);
}

void StackedPack::SetMembers(const std::vector<DeviceMember>& members) {
  members_.copy_(BytesOf(members));
}

std::vector<DeviceMember> StackedPack::Members() const {
  std::vector<DeviceMember> members(options_.members);
  BytesOf(members).copy_(members_);
  return members;
}

void StackedPack::Step(const at::Tensor& slot, int64_t rows) {
  const int64_t bytes = BatchBytes(options_.members, rows);
  batch_.narrow(0, 0, bytes).copy_(slot.narrow(0, 0, bytes), /*non_blocking=*/true);
  graphs_->Run(
      rows, [&] { RunStep(PackAt(idle_batch_, idle_members_, rows)); },
      [&] { RunStep(PackAt(batch_, members_, rows)); });
}

std::shared_ptr<const DevicePack> StackedPack::PackAt(const at::Tensor& batch,
                                                      const at::Tensor& members,
                                                      int64_t rows) const {
  // A sequence has length x length weights per head, so rows times the longest length is enough.
  const int64_t attention_weights = heads_ * rows * std::min(rows, options_.longest);
  return std::make_shared<DevicePack>(DevicePack{options_.members, attention_weights,
                                                 BatchAt(batch.data_ptr(), options_.members, rows),
                                                 static_cast<DeviceMember*>(members.data_ptr())});
}

void StackedPack::RunStep(const std::shared_ptr<const DevicePack>& pack) {
  PackBatch batch;
  batch.on_device = CopyOf(pack);
  model_->LossAndGradients(weights_, gradients_, batch, nullptr);
  optimizer_->Update(update_, rows_, pack->state);
}

}  // namespace coppice::trainer
