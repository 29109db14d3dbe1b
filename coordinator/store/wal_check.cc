#include "coordinator/store/wal_check.h"

#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"

namespace coppice::store {
namespace {

constexpr size_t kHeader = 32;
constexpr size_t kFrameHeader = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the last bit gives the byte order of the checksums

uint32_t BigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

uint32_t LittleEndian(const uint8_t* bytes) {
  return uint32_t{bytes[3]} << 24 | uint32_t{bytes[2]} << 16 | uint32_t{bytes[1]} << 8 | bytes[0];
}

// The running checksum of a log. It covers each frame and all frames before it.
struct Checksum {
  uint32_t first = 0;
  uint32_t second = 0;

  void Add(const uint8_t* bytes, size_t size, bool big_endian) {
    for (size_t i = 0; i + 8 <= size; i += 8) {
      first += (big_endian ? BigEndian(bytes + i) : LittleEndian(bytes + i)) + second;
      second += (big_endian ? BigEndian(bytes + i + 4) : LittleEndian(bytes + i + 4)) + first;
    }
  }
  bool Is(const uint8_t* stored) const {
    return first == BigEndian(stored) && second == BigEndian(stored + 4);
  }
};

class WalReader {
 public:
  explicit WalReader(std::ifstream* in) : in_(*in) {}

  WalState Read() {
    if (!ReadHeader()) return state_;
    bool whole = true;
    while (ReadFrame()) {
      if (!IsOfThisLog()) {
        // A remainder of an earlier log, or noise. A later frame may still belong to this one.
        whole = false;
        continue;
      }
      whole = whole && ChecksumFits();
      Count(whole);
    }
    return state_;
  }

 private:
  bool ReadHeader() {
    std::array<uint8_t, kHeader> header;
    if (!in_.read(reinterpret_cast<char*>(header.data()), kHeader)) return false;
    const uint32_t magic = BigEndian(header.data());
    big_endian_ = (magic & 1) != 0;
    const uint32_t page_size = BigEndian(header.data() + 8);
    sum_.Add(header.data(), 24, big_endian_);
    const bool sane = (magic & ~1u) == kMagic && page_size >= 512 && page_size <= 65536 &&
                      (page_size & (page_size - 1)) == 0;
    if (!sane || !sum_.Is(header.data() + 24)) return false;
    salt_ = {BigEndian(header.data() + 16), BigEndian(header.data() + 20)};
    frame_.resize(kFrameHeader + page_size);
    return true;
  }

  bool ReadFrame() {
    return static_cast<bool>(in_.read(reinterpret_cast<char*>(frame_.data()),
                                      static_cast<std::streamsize>(frame_.size())));
  }

  bool IsOfThisLog() const {
    return BigEndian(frame_.data()) != 0 && BigEndian(frame_.data() + 8) == salt_[0] &&
           BigEndian(frame_.data() + 12) == salt_[1];
  }

  bool ChecksumFits() {
    sum_.Add(frame_.data(), 8, big_endian_);
    sum_.Add(frame_.data() + kFrameHeader, frame_.size() - kFrameHeader, big_endian_);
    return sum_.Is(frame_.data() + 16);
  }

  void Count(bool whole) {
    const bool commit = BigEndian(frame_.data() + 4) != 0;
    if (commit) ++(whole ? state_.commits : state_.lost_commits);
  }

  std::ifstream& in_;
  bool big_endian_ = false;
  std::array<uint32_t, 2> salt_ = {0, 0};
  Checksum sum_;
  std::vector<uint8_t> frame_;
  WalState state_;
};

}  // namespace

absl::StatusOr<WalState> CheckWal(const std::string& wal_path) {
  if (!FileExists(wal_path)) return WalState();
  std::ifstream in(wal_path, std::ios::binary);
  if (!in) return ErrnoToStatus(errno, absl::StrCat("cannot open ", wal_path));
  const WalState state = WalReader(&in).Read();
  if (in.bad()) return absl::InternalError(absl::StrCat("cannot read ", wal_path));
  return state;
}

}  // namespace coppice::store
