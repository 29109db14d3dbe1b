// A checkpoint file. First byte even: the other bytes are the file. Odd: they are a header's text
// (up to the first NUL) and data. These get a correct length and digest, so that the checks of the
// header's contents are reached too.
#include "absl/strings/str_cat.h"
#include "common/base/checkpoint_file.h"
#include "common/base/digest.h"
#include "common/base/safetensors.h"
#include "tests/fuzz/fuzz.h"

namespace coppice {
namespace {

constexpr absl::string_view kDigestKey = "\"digest\":\"";
constexpr size_t kDigits = 32;

std::string WithLengthAndDigest(absl::string_view rest) {
  const size_t end = std::min(rest.find('\0'), rest.size());
  std::string file;
  fuzz::PutInteger(static_cast<uint64_t>(end), &file);
  absl::StrAppend(&file, rest.substr(0, end), rest.substr(std::min(end + 1, rest.size())));
  const size_t key = file.find(kDigestKey.data(), 8, kDigestKey.size());
  if (key == std::string::npos || file.size() < key + kDigestKey.size() + kDigits) return file;
  const size_t digits = key + kDigestKey.size();
  file.replace(digits, kDigits, kDigits, '0');
  return file.replace(digits, kDigits, DigestOf(file.data(), file.size()));
}

// Every tensor is where its shape says, and can be read completely.
void CheckTensors(const SafetensorsFile& file, size_t file_bytes) {
  uint64_t total = 0, sum = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    uint64_t bytes = static_cast<uint64_t>(DTypeSize(tensor.dtype));
    for (const int64_t size : tensor.shape) {
      FUZZ_CHECK(size >= 0, name);
      bytes *= static_cast<uint64_t>(size);
    }
    FUZZ_CHECK(bytes == tensor.bytes, name);
    for (uint64_t i = 0; i < tensor.bytes; ++i) sum += static_cast<uint8_t>(tensor.data[i]);
    total += bytes;
  }
  FUZZ_CHECK(total <= file_bytes && sum <= 255 * total, "");
}

// The two readers agree on everything.
void CheckSummary(const SafetensorsFile& file, const SafetensorsSummary& summary,
                  const std::string& bytes) {
  FUZZ_CHECK(summary.bytes == bytes.size(), "");
  FUZZ_CHECK(summary.digest == DigestOf(bytes.data(), bytes.size()), "");
  FUZZ_CHECK(summary.metadata == file.metadata(), "");
  FUZZ_CHECK(summary.tensors.size() == file.tensors().size(), "");
  for (const auto& [name, info] : summary.tensors) {
    const auto found = file.tensors().find(name);
    FUZZ_CHECK(found != file.tensors().end(), name);
    FUZZ_CHECK(found->second.dtype == info.dtype && found->second.shape == info.shape, name);
    FUZZ_CHECK(found->second.bytes == info.bytes, name);
  }
}

void CheckCheckpoint(const std::string& path, bool is_safetensors) {
  const auto checkpoint = InspectCheckpoint(path);
  if (checkpoint.ok()) {
    FUZZ_CHECK(is_safetensors, "a checkpoint that is no safetensors file");
    FUZZ_CHECK(checkpoint->step >= 0 && checkpoint->parameters > 0, "");
    FUZZ_CHECK(checkpoint->tensors >= 4 && checkpoint->parameters * 12 <= checkpoint->bytes, "");
    return;
  }
  FUZZ_CHECK(checkpoint.status().code() == absl::StatusCode::kDataLoss ||
                 checkpoint.status().code() == absl::StatusCode::kFailedPrecondition,
             checkpoint.status().ToString());
}

}  // namespace
}  // namespace coppice

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view rest = coppice::fuzz::Text(data + 1, size - 1);
  const std::string bytes =
      data[0] % 2 == 0 ? std::string(rest) : coppice::WithLengthAndDigest(rest);
  const coppice::fuzz::MemoryFile memory(bytes);
  const auto file = coppice::SafetensorsFile::Read(memory.path());
  const auto summary = coppice::InspectSafetensors(memory.path());
  FUZZ_CHECK(file.ok() == summary.ok(),
             absl::StrCat(file.status().ToString(), " / ", summary.status().ToString()));
  if (file.ok()) {
    coppice::CheckTensors(*file, bytes.size());
    coppice::CheckSummary(*file, *summary, bytes);
  } else {
    FUZZ_CHECK(file.status().code() == absl::StatusCode::kDataLoss, file.status().ToString());
  }
  coppice::CheckCheckpoint(memory.path(), file.ok());
  return 0;
}
