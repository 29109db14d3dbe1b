#include "common/base/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace coppice {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr uint64_t kMaxHeaderBytes = 16 << 20;
constexpr uint64_t kMaxFileBytes = uint64_t{64} << 30;
constexpr size_t kLengthBytes = 8;  // of the header's length
constexpr size_t kDigestDigits = 32;
constexpr size_t kTensorPieceBytes = 1 << 16;
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

absl::Status WithPath(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// The header's length, which a file of `file_bytes` states in its first 8 bytes.
absl::StatusOr<uint64_t> HeaderBytes(absl::string_view first, uint64_t file_bytes) {
  if (first.size() < kLengthBytes) return Damaged("too short to be a checkpoint");
  const uint64_t header_bytes = GetLittleEndian64(first.data());
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_bytes - kLengthBytes) {
    return Damaged(
        absl::StrCat("the header claims ", header_bytes, " bytes of a file of ", file_bytes));
  }
  return header_bytes;
}

// Computes the digest that a file contains of itself, with that digest's digits read as zeros.
class InnerDigest {
 public:
  // `head` is the part of the file before its data.
  absl::Status Begin(absl::string_view head) {
    const size_t key = head.find(kDigestKey, kLengthBytes);
    if (key == absl::string_view::npos || head.find(kDigestKey, key + 1) != head.npos ||
        head.size() - key < kDigestKey.size() + kDigestDigits) {
      return Damaged("the header holds no digest");
    }
    const size_t digits = key + kDigestKey.size();
    const std::string zeros(kDigestDigits, '0');
    claimed_ = std::string(head.substr(digits, kDigestDigits));
    digest_.Update(head.data(), digits);
    digest_.Update(zeros.data(), zeros.size());
    Update(head.substr(digits + kDigestDigits));
    return absl::OkStatus();
  }
  void Update(absl::string_view data) { digest_.Update(data.data(), data.size()); }
  absl::Status Check() const {
    if (digest_.Hex() == claimed_) return absl::OkStatus();
    return Damaged("the digest does not fit: the file was damaged after it was written");
  }

 private:
  Digest digest_;
  std::string claimed_;
};

absl::StatusOr<TensorInfo> ParseTensor(const std::string& name, const json& value,
                                       uint64_t data_bytes) {
  const absl::Status bad = Damaged(absl::StrCat("the entry of tensor \"", name, "\" is malformed"));
  if (!value.contains("dtype") || !value["dtype"].is_string() || !value.contains("shape") ||
      !value["shape"].is_array() || !value.contains("data_offsets") ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
    return bad;
  }
  TensorInfo tensor;
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
  tensor.offset = value["data_offsets"][0].get<uint64_t>();
  const uint64_t end = value["data_offsets"][1].get<uint64_t>();
  const std::optional<uint64_t> bytes = ByteCount(tensor.dtype, tensor.shape);
  if (tensor.offset > end || !bytes.has_value() || *bytes != end - tensor.offset) return bad;
  tensor.bytes = *bytes;
  return tensor;
}

absl::Status ParseMetadata(const json& value, std::map<std::string, std::string>* metadata) {
  for (const auto& field : value.items()) {
    if (!field.value().is_string())
      return Damaged(absl::StrCat("metadata ", field.key(), " is not a string"));
    (*metadata)[field.key()] = field.value().get<std::string>();
  }
  return absl::OkStatus();
}

absl::Status CheckRanges(const std::map<std::string, TensorInfo>& tensors, uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, tensor] : tensors)
    ranges.emplace_back(tensor.offset, tensor.offset + tensor.bytes);
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) return Damaged("tensors overlap or leave a gap");
    covered = end;
  }
  if (covered != data_bytes) return Damaged("the tensors do not fill the file");
  return absl::OkStatus();
}

absl::Status ParseHeader(absl::string_view header, uint64_t data_bytes,
                         std::map<std::string, std::string>* metadata,
                         std::map<std::string, TensorInfo>* tensors) {
  const json parsed =
      json::parse(header.begin(), header.end(), nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Damaged("the header is not a JSON object");
  for (const auto& item : parsed.items()) {
    if (!item.value().is_object())
      return Damaged(absl::StrCat("the entry \"", item.key(), "\" is not an object"));
    if (item.key() == "__metadata__") {
      COPPICE_RETURN_IF_ERROR(ParseMetadata(item.value(), metadata));
    } else {
      COPPICE_ASSIGN_OR_RETURN((*tensors)[item.key()],
                               ParseTensor(item.key(), item.value(), data_bytes));
    }
  }
  return CheckRanges(*tensors, data_bytes);
}

// Reads up to `size` bytes; fewer only at the end of the file.
absl::StatusOr<std::string> ReadUpTo(RegularFile* in, size_t size) {
  std::string data(size, '\0');
  size_t got = 0;
  while (got < size) {
    COPPICE_ASSIGN_OR_RETURN(const size_t count, in->Read(data.data() + got, size - got));
    if (count == 0) break;
    got += count;
  }
  data.resize(got);
  return data;
}

absl::StatusOr<SafetensorsSummary> Inspect(RegularFile* in) {
  SafetensorsSummary summary;
  COPPICE_ASSIGN_OR_RETURN(std::string head, ReadUpTo(in, kLengthBytes));
  COPPICE_ASSIGN_OR_RETURN(const uint64_t header_bytes, HeaderBytes(head, in->size()));
  COPPICE_ASSIGN_OR_RETURN(const std::string header, ReadUpTo(in, header_bytes));
  head += header;
  InnerDigest inner;
  COPPICE_RETURN_IF_ERROR(inner.Begin(head));
  Digest whole;
  whole.Update(head.data(), head.size());
  summary.bytes = head.size();
  for (;;) {
    COPPICE_ASSIGN_OR_RETURN(const std::string piece, ReadUpTo(in, kTensorPieceBytes));
    if (piece.empty()) break;
    inner.Update(piece);
    whole.Update(piece.data(), piece.size());
    summary.bytes += piece.size();
  }
  COPPICE_RETURN_IF_ERROR(inner.Check());
  summary.digest = whole.Hex();
  COPPICE_RETURN_IF_ERROR(
      ParseHeader(header, summary.bytes - head.size(), &summary.metadata, &summary.tensors));
  return summary;
}

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

  // First computes the digest of the file with zeros in its place, then that of the finished file.
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
  COPPICE_ASSIGN_OR_RETURN(std::string content, ReadRegularFile(path, kMaxFileBytes));
  file.content_ = std::make_unique<const std::string>(std::move(content));
  const absl::Status status = file.Parse();
  if (!status.ok()) return WithPath(status, path);
  return file;
}

absl::Status SafetensorsFile::Parse() {
  const absl::string_view content = *content_;
  COPPICE_ASSIGN_OR_RETURN(const uint64_t header_bytes, HeaderBytes(content, content.size()));
  const absl::string_view head = content.substr(0, kLengthBytes + header_bytes);
  const absl::string_view data = content.substr(head.size());
  InnerDigest inner;
  COPPICE_RETURN_IF_ERROR(inner.Begin(head));
  inner.Update(data);
  COPPICE_RETURN_IF_ERROR(inner.Check());
  std::map<std::string, TensorInfo> tensors;
  COPPICE_RETURN_IF_ERROR(
      ParseHeader(head.substr(kLengthBytes), data.size(), &metadata_, &tensors));
  for (auto& [name, info] : tensors)
    tensors_[name] = {info.dtype, std::move(info.shape), data.data() + info.offset, info.bytes};
  return absl::OkStatus();
}

absl::StatusOr<SafetensorsSummary> InspectSafetensors(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile in, RegularFile::Open(path));
  if (in.size() > kMaxFileBytes) {
    return Damaged(absl::StrCat(path, " has ", in.size(), " bytes, too many for a checkpoint"));
  }
  absl::StatusOr<SafetensorsSummary> summary = Inspect(&in);
  if (!summary.ok()) return WithPath(summary.status(), path);
  return summary;
}

}  // namespace coppice
