#include "worker/daemon/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"
#include "worker/daemon/attempt_records.h"
#include "worker/daemon/lease_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace coppice::worker {
namespace {

// Many times the records of a job that runs without a coordinator.
constexpr uint64_t kMaxSpoolBytes = uint64_t{4} << 30;

constexpr absl::string_view kMagic = "CPSPOOL2";
constexpr absl::string_view kEarlierMagic = "CPSPOOL1";
constexpr size_t kFrameHeader = 12;

enum FrameType : uint8_t { kLease = 1, kRecord = 2 };

template <typename Integer>
void PutLittleEndian(Integer value, std::string* out) {
  for (size_t i = 0; i < sizeof(Integer); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

template <typename Integer>
Integer GetLittleEndian(absl::string_view bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    value |= static_cast<Integer>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return value;
}

enum class FrameResult { kOk, kEnd, kTorn, kCorrupt };

// Takes one frame off the front of `rest`.
FrameResult NextFrame(absl::string_view* rest, uint8_t* type, absl::string_view* payload) {
  if (rest->empty()) return FrameResult::kEnd;
  if (rest->size() < kFrameHeader) return FrameResult::kTorn;
  const uint32_t length = GetLittleEndian<uint32_t>(*rest);
  if (length == 0 || length > Spool::kMaxRecordBytes) return FrameResult::kCorrupt;
  if (rest->size() - kFrameHeader < length) return FrameResult::kTorn;
  const absl::string_view body = rest->substr(kFrameHeader, length);
  if (GetLittleEndian<uint64_t>(rest->substr(4)) != XXH3_64bits(body.data(), body.size())) {
    return FrameResult::kCorrupt;
  }
  *type = static_cast<uint8_t>(body[0]);
  *payload = body.substr(1);
  rest->remove_prefix(kFrameHeader + length);
  return FrameResult::kOk;
}

// Appends the record, or lets it replace those that it may replace. False if it fits in neither
// way.
bool TakeRecord(uint8_t type, absl::string_view payload, SpoolContents* contents) {
  v1::AttemptRecord record;
  if (type != kRecord || !record.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      record.content_case() == v1::AttemptRecord::CONTENT_NOT_SET ||
      KeyOf(record.lease()) != KeyOf(contents->lease.lease())) {
    return false;
  }
  std::vector<v1::AttemptRecord>& records = contents->records;
  const bool next = record.number() == records.size() + 1;
  const bool after_end = !records.empty() && IsEnding(records.back());
  const bool replaces =
      record.number() > 0 && record.number() <= records.size() && IsEnding(record);
  if (!replaces && (!next || after_end)) return false;
  records.resize(record.number() - 1);
  records.push_back(std::move(record));
  return true;
}

}  // namespace

std::string SpoolFileName(const v1::LeaseRef& lease) {
  return absl::StrFormat("%020d-%010d.spool", lease.job_id(), lease.attempt());
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Create(const std::string& path,
                                                     const v1::Lease& lease) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot create spool ", path));
  std::unique_ptr<Spool> spool(new Spool(path, fd, 0));
  spool->buffer_ = std::string(kMagic);
  COPPICE_RETURN_IF_ERROR(spool->AppendFrame(FrameType::kLease, lease.SerializeAsString()));
  COPPICE_RETURN_IF_ERROR(spool->Sync());
  const size_t slash = path.rfind('/');
  COPPICE_RETURN_IF_ERROR(SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash)));
  return spool;
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Continue(const std::string& path,
                                                       uint64_t valid_bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, absl::StrCat("cannot open spool ", path));
  std::unique_ptr<Spool> spool(new Spool(path, fd, valid_bytes));
  if (::ftruncate(fd, static_cast<off_t>(valid_bytes)) != 0 ||
      ::lseek(fd, 0, SEEK_END) == static_cast<off_t>(-1)) {
    return ErrnoToStatus(errno, absl::StrCat("cannot cut spool ", path));
  }
  return spool;
}

absl::StatusOr<SpoolContents> Spool::Read(const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(const std::string bytes, ReadRegularFile(path, kMaxSpoolBytes));
  absl::string_view rest = bytes;
  uint8_t type = 0;
  absl::string_view payload;
  SpoolContents contents;
  const absl::string_view magic = rest.substr(0, kMagic.size());
  contents.earlier_version = magic == kEarlierMagic;
  if (magic != kMagic && !contents.earlier_version) {
    return absl::DataLossError(absl::StrCat(path, " is not a spool of this version"));
  }
  rest.remove_prefix(kMagic.size());
  if (NextFrame(&rest, &type, &payload) != FrameResult::kOk || type != kLease ||
      !contents.lease.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(absl::StrCat(path, " does not say which lease it belongs to"));
  }
  contents.valid_bytes = bytes.size() - rest.size();
  if (contents.earlier_version) return contents;
  for (;;) {
    const FrameResult result = NextFrame(&rest, &type, &payload);
    if (result == FrameResult::kEnd) break;
    contents.torn = result == FrameResult::kTorn;
    contents.corrupt = result == FrameResult::kCorrupt ||
                       (!contents.torn && !TakeRecord(type, payload, &contents));
    if (contents.torn || contents.corrupt) break;
    contents.valid_bytes = bytes.size() - rest.size();
  }
  return contents;
}

Spool::~Spool() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status Spool::Append(const v1::AttemptRecord& record) {
  return AppendFrame(kRecord, record.SerializeAsString());
}

absl::Status Spool::AppendFrame(uint8_t type, absl::string_view payload) {
  COPPICE_RETURN_IF_ERROR(error_);
  if (payload.size() + 1 > kMaxRecordBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a record of ", payload.size(), " bytes is too large for a spool"));
  }
  std::string body(1, static_cast<char>(type));
  body.append(payload.data(), payload.size());
  PutLittleEndian(static_cast<uint32_t>(body.size()), &buffer_);
  PutLittleEndian(static_cast<uint64_t>(XXH3_64bits(body.data(), body.size())), &buffer_);
  buffer_ += body;
  return absl::OkStatus();
}

absl::Status Spool::Sync() {
  COPPICE_RETURN_IF_ERROR(error_);
  int error = 0;
  for (size_t done = 0; error == 0 && done < buffer_.size();) {
    const ssize_t written = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (written >= 0) {
      done += static_cast<size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fdatasync(fd_) != 0) error = errno;
  if (error != 0) {
    // A failed fdatasync may have dropped dirty pages, so the file can be trusted only up to what
    // was durable before. If it cannot be cut, the checksums still show where that part ends.
    [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(size_));
    error_ = ErrnoToStatus(error, absl::StrCat("cannot write spool ", path_));
    return error_;
  }
  size_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

}  // namespace coppice::worker
