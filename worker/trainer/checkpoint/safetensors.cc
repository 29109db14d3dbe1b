#include "worker/trainer/checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice::trainer {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr uint64_t kMaxHeaderBytes = 16 << 20;
constexpr size_t kDigestDigits = 32;
// Inside a JSON string a quote is escaped, so this text can only be the metadata key itself.
constexpr absl::string_view kDigestKey = "\"digest\":\"";

void PutLittleEndian64(uint64_t value, char* out) {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

uint64_t GetLittleEndian64(const char* in) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  return value;
}

std::optional<DType> ParseDType(absl::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kI64}) {
    if (DTypeName(dtype) == name) return dtype;
  }
  return std::nullopt;
}

// Bytes of a dense tensor; nullopt when a dimension is negative or the product does not fit.
std::optional<uint64_t> ByteCount(DType dtype, const std::vector<int64_t>& shape) {
  uint64_t count = static_cast<uint64_t>(DTypeSize(dtype));
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size != 0 && count > std::numeric_limits<int64_t>::max() / static_cast<uint64_t>(size))
      return std::nullopt;
    count *= static_cast<uint64_t>(size);
  }
  return count;
}

absl::Status Damaged(absl::string_view reason) { return absl::DataLossError(reason); }

}  // namespace

absl::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF64:
      return "F64";
    case DType::kI64:
      break;
  }
  return "I64";
}

int64_t DTypeSize(DType dtype) { return dtype == DType::kF32 ? 4 : 8; }

absl::StatusOr<WrittenFile> WriteSafetensors(const std::string& path,
                                             const std::vector<TensorToWrite>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  ordered_json header = ordered_json::object();
  ordered_json& fields = header["__metadata__"] = ordered_json(metadata);
  fields["digest"] = std::string(kDigestDigits, '0');
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::optional<uint64_t> bytes = ByteCount(tensor.dtype, tensor.shape);
    if (!bytes.has_value())
      return absl::InternalError(absl::StrCat("tensor ", tensor.name, " has an impossible shape"));
    header[tensor.name] = {{"dtype", std::string(DTypeName(tensor.dtype))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = header.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');  // the format aligns the data to 8 bytes
  char length[8];
  PutLittleEndian64(text.size(), length);

  // The digest of the file with zeros in its place comes first, then the digest of the finished
  // file.
  auto digest_all = [&] {
    Digest digest;
    digest.Update(length, sizeof(length));
    digest.Update(text.data(), text.size());
    for (const TensorToWrite& tensor : tensors)
      digest.Update(tensor.data, *ByteCount(tensor.dtype, tensor.shape));
    return digest.Hex();
  };
  text.replace(text.find(kDigestKey.data()) + kDigestKey.size(), kDigestDigits, digest_all());

  COPPICE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path));
  COPPICE_RETURN_IF_ERROR(file.Append(length, sizeof(length)));
  COPPICE_RETURN_IF_ERROR(file.Append(text.data(), text.size()));
  for (const TensorToWrite& tensor : tensors) {
    COPPICE_RETURN_IF_ERROR(file.Append(tensor.data, *ByteCount(tensor.dtype, tensor.shape)));
  }
  COPPICE_RETURN_IF_ERROR(file.Commit());
  return WrittenFile{digest_all(), sizeof(length) + text.size() + offset};
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Read(const std::string& path) {
  SafetensorsFile file;
  COPPICE_ASSIGN_OR_RETURN(std::string content, ReadFile(path));
  file.content_ = std::make_unique<const std::string>(std::move(content));
  const absl::Status status = file.Parse();
  if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  return file;
}

absl::Status SafetensorsFile::Parse() {
  if (content_->size() < 8) return Damaged("too short to be a checkpoint");
  const uint64_t header_bytes = GetLittleEndian64(content_->data());
  if (header_bytes > kMaxHeaderBytes || header_bytes > content_->size() - 8) {
    return Damaged(
        absl::StrCat("the header claims ", header_bytes, " bytes of a file of ", content_->size()));
  }
  const absl::string_view header(content_->data() + 8, header_bytes);
  COPPICE_RETURN_IF_ERROR(CheckDigest(header));
  return ParseHeader(header);
}

absl::Status SafetensorsFile::CheckDigest(absl::string_view header) const {
  const size_t key = header.find(kDigestKey);
  if (key == absl::string_view::npos ||
      header.find(kDigestKey, key + 1) != absl::string_view::npos ||
      header.size() - key < kDigestKey.size() + kDigestDigits) {
    return Damaged("the header holds no digest");
  }
  const size_t digits = key + kDigestKey.size();
  const std::string zeros(kDigestDigits, '0');
  Digest digest;
  const size_t before = 8 + digits;
  digest.Update(content_->data(), before);
  digest.Update(zeros.data(), zeros.size());
  digest.Update(content_->data() + before + kDigestDigits,
                content_->size() - before - kDigestDigits);
  if (digest.Hex() != header.substr(digits, kDigestDigits)) {
    return Damaged("the digest does not fit: the file was damaged after it was written");
  }
  return absl::OkStatus();
}

absl::Status SafetensorsFile::ParseHeader(absl::string_view header) {
  const json parsed =
      json::parse(header.begin(), header.end(), nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Damaged("the header is not a JSON object");
  const uint64_t data_begin = 8 + header.size();
  const uint64_t data_bytes = content_->size() - data_begin;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& item : parsed.items()) {
    const json& value = item.value();
    if (!value.is_object())
      return Damaged(absl::StrCat("the entry \"", item.key(), "\" is not an object"));
    if (item.key() == "__metadata__") {
      for (const auto& field : value.items()) {
        if (!field.value().is_string())
          return Damaged(absl::StrCat("metadata ", field.key(), " is not a string"));
        metadata_[field.key()] = field.value().get<std::string>();
      }
      continue;
    }
    const absl::Status bad =
        Damaged(absl::StrCat("the entry of tensor \"", item.key(), "\" is malformed"));
    if (!value.contains("dtype") || !value["dtype"].is_string() || !value.contains("shape") ||
        !value["shape"].is_array() || !value.contains("data_offsets") ||
        !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
      return bad;
    }
    TensorInFile tensor;
    const std::optional<DType> dtype = ParseDType(value["dtype"].get<std::string>());
    if (!dtype.has_value()) return bad;
    tensor.dtype = *dtype;
    for (const json& size : value["shape"]) {
      if (!size.is_number_unsigned() || size.get<uint64_t>() > std::numeric_limits<int64_t>::max())
        return bad;
      tensor.shape.push_back(size.get<int64_t>());
    }
    for (const json& end : value["data_offsets"]) {
      if (!end.is_number_unsigned() || end.get<uint64_t>() > data_bytes) return bad;
    }
    const uint64_t begin = value["data_offsets"][0].get<uint64_t>();
    const uint64_t end = value["data_offsets"][1].get<uint64_t>();
    const std::optional<uint64_t> bytes = ByteCount(tensor.dtype, tensor.shape);
    if (begin > end || !bytes.has_value() || *bytes != end - begin) return bad;
    tensor.data = content_->data() + data_begin + begin;
    tensor.bytes = end - begin;
    ranges.emplace_back(begin, end);
    tensors_[item.key()] = std::move(tensor);
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) return Damaged("tensors overlap or leave a gap");
    covered = end;
  }
  if (covered != data_bytes) return Damaged("the tensors do not fill the file");
  return absl::OkStatus();
}

}  // namespace coppice::trainer
