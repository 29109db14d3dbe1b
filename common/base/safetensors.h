// Reading and writing safetensors files (https://github.com/huggingface/safetensors): 8 bytes of
// header length, a JSON header, the tensors' bytes. Beyond the format, __metadata__.digest is the
// XXH3-128 of the whole file with that field's 32 digits read as zeros.
#ifndef COPPICE_COMMON_BASE_SAFETENSORS_H_
#define COPPICE_COMMON_BASE_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coppice {

enum class DType { kF32, kF64, kI64 };
absl::string_view DTypeName(DType dtype);
int64_t DTypeSize(DType dtype);

// A tensor to write. `data` is not owned and must point to the dense row-major elements until the
// write is over.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

struct WrittenFile {
  std::string digest;  // of the file on disk
  uint64_t bytes = 0;
};

// Writes the file atomically and durably (see AtomicFile). `metadata` must not hold the key
// "digest", which is added here. Codes of common/base/files.h.
absl::StatusOr<WrittenFile> WriteSafetensors(const std::string& path,
                                             const std::vector<TensorToWrite>& tensors,
                                             const std::map<std::string, std::string>& metadata);

// The header's entry of one tensor.
struct TensorInfo {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // from the end of the header
  uint64_t bytes = 0;
};

struct TensorInFile {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  const char* data = nullptr;  // inside the SafetensorsFile; not aligned
  uint64_t bytes = 0;
};

// A whole file in memory, fully checked: header length, JSON, types, shapes against byte ranges, no
// gaps, no overlaps, digest. Movable; the tensors point into it.
class SafetensorsFile {
 public:
  // DATA_LOSS: the file is damaged (the message names path and reason). Otherwise the codes of
  // common/base/files.h.
  static absl::StatusOr<SafetensorsFile> Read(const std::string& path);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::map<std::string, TensorInFile>& tensors() const { return tensors_; }

 private:
  SafetensorsFile() = default;
  absl::Status Parse();

  std::unique_ptr<const std::string> content_;  // a move leaves its bytes in place
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TensorInFile> tensors_;
};

// The summary of a file that passed the checks of SafetensorsFile::Read but is not kept in memory.
struct SafetensorsSummary {
  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorInfo> tensors;
  std::string digest;  // of the file on disk, not the one in its metadata
  uint64_t bytes = 0;
};
// Reads in pieces, so it needs memory for the header only. Codes as for Read.
absl::StatusOr<SafetensorsSummary> InspectSafetensors(const std::string& path);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_SAFETENSORS_H_
