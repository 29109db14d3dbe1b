#include "worker/program/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/digest.h"
#include "common/base/files.h"
#include "common/base/printable.h"
#include "common/base/regular_file.h"
#include "common/base/status_macros.h"

namespace coppice::worker {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kPiece = 1 << 20;
constexpr char kRegular = '0';
constexpr char kFolderType = '5';

// The header of an entry, as ustar lays it out.
struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char pad[12];
};
static_assert(sizeof(Header) == kBlock);

template <size_t N>
void SetOctal(char (&field)[N], uint64_t value) {
  for (size_t i = N - 1; i-- > 0; value >>= 3) field[i] = static_cast<char>('0' + (value & 7));
  field[N - 1] = '\0';
}

// Sizes from 8 GiB on have no octal form; they are binary, as all common programs read them.
void SetSize(Header* header, uint64_t size) {
  constexpr uint64_t kLargestOctal = (uint64_t{1} << 33) - 1;
  if (size <= kLargestOctal) return SetOctal(header->size, size);
  header->size[0] = static_cast<char>(0x80);
  for (size_t i = sizeof(header->size) - 1; i > 0; --i, size >>= 8) {
    header->size[i] = static_cast<char>(size & 0xff);
  }
}

uint64_t ChecksumOf(Header header) {
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += bytes[i];
  return sum;
}

// False: the path is too long for the format.
bool SetPath(Header* header, absl::string_view path) {
  if (path.size() <= sizeof(header->name)) {
    std::memcpy(header->name, path.data(), path.size());
    return true;
  }
  const size_t last = path.rfind('/', sizeof(header->prefix));
  if (last == absl::string_view::npos || last == 0) return false;
  const absl::string_view rest = path.substr(last + 1);
  if (rest.empty() || rest.size() > sizeof(header->name)) return false;
  std::memcpy(header->prefix, path.data(), last);
  std::memcpy(header->name, rest.data(), rest.size());
  return true;
}

absl::Status Refused(absl::string_view path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(PrintableLine(path), " ", why));
}

class Writer {
 public:
  explicit Writer(AtomicFile* out) : out_(out) {}

  absl::Status AddFolder(const Directory& folder, const std::string& prefix, int depth) {
    if (depth > kMaxArchiveDepth) {
      return Refused(prefix, absl::StrCat("lies deeper than ", kMaxArchiveDepth, " folders"));
    }
    COPPICE_ASSIGN_OR_RETURN(const auto entries, folder.List());
    for (const Directory::Entry& entry : entries) {
      COPPICE_RETURN_IF_ERROR(AddEntry(folder, entry, prefix, depth));
    }
    return absl::OkStatus();
  }
  absl::Status Finish() {
    const std::string zeros(2 * kBlock, '\0');
    return Append(zeros.data(), zeros.size());
  }
  int files() const { return files_; }
  Archived result() const { return {digest_.Hex(), bytes_}; }

 private:
  absl::Status AddEntry(const Directory& folder, const Directory::Entry& entry,
                        const std::string& prefix, int depth) {
    const std::string path = prefix + entry.name;
    if (++entries_ > kMaxArchiveEntries) {
      return Refused(folder.path(), absl::StrCat("has more than ", kMaxArchiveEntries, " entries"));
    }
    if (!IsSafeRelativePath(entry.name)) return Refused(path, "has a name that no file may have");
    if (entry.is_file()) return AddFile(folder, entry, path);
    if (!entry.is_folder()) {
      return Refused(path, S_ISLNK(entry.info.st_mode) ? "is a symbolic link; only files and "
                                                         "folders can be saved"
                                                       : "is neither a file nor a folder");
    }
    COPPICE_RETURN_IF_ERROR(AddHeader(path + "/", kFolderType, 0));
    absl::StatusOr<Directory> inner = folder.OpenFolder(entry.name);
    if (absl::IsFailedPrecondition(inner.status())) {
      return absl::InvalidArgumentError(inner.status().message());
    }
    COPPICE_RETURN_IF_ERROR(inner.status());
    return AddFolder(*inner, path + "/", depth + 1);
  }

  absl::Status AddFile(const Directory& folder, const Directory::Entry& entry,
                       const std::string& path) {
    const int fd = ::openat(folder.fd(), entry.name.c_str(),
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
      const int error = errno;
      if (error == ELOOP || error == ENOENT) return Refused(path, "changed while it was saved");
      return ErrnoToStatus(error,
                           absl::StrCat("cannot open ", JoinPath(folder.path(), entry.name)));
    }
    const absl::Cleanup close = [fd] { ::close(fd); };
    struct stat info;
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
      return Refused(path, "changed while it was saved");
    }
    const auto size = static_cast<uint64_t>(info.st_size);
    total_ += size;
    if (total_ > kMaxArchiveBytes) {
      return Refused(path, absl::StrCat("brings the checkpoint over ", kMaxArchiveBytes, " bytes"));
    }
    ++files_;
    COPPICE_RETURN_IF_ERROR(AddHeader(path, kRegular, size));
    return AddContent(fd, path, size);
  }

  absl::Status AddContent(int fd, const std::string& path, uint64_t size) {
    std::string piece(static_cast<size_t>(std::min<uint64_t>(kPiece, size)), '\0');
    for (uint64_t left = size; left > 0;) {
      const ssize_t got =
          ::read(fd, piece.data(), static_cast<size_t>(std::min<uint64_t>(piece.size(), left)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
      if (got == 0) return Refused(path, "became shorter while it was saved");
      COPPICE_RETURN_IF_ERROR(Append(piece.data(), static_cast<size_t>(got)));
      left -= static_cast<uint64_t>(got);
    }
    const std::string padding((kBlock - size % kBlock) % kBlock, '\0');
    return Append(padding.data(), padding.size());
  }

  absl::Status AddHeader(const std::string& path, char type, uint64_t size) {
    Header header;
    std::memset(&header, 0, sizeof(header));
    if (!SetPath(&header, path)) {
      return Refused(path, "has too long a name to be saved: shorten the names of its folders");
    }
    SetOctal(header.mode, type == kFolderType ? 0755 : 0644);
    SetOctal(header.uid, 0);
    SetOctal(header.gid, 0);
    SetSize(&header, size);
    SetOctal(header.mtime, 0);
    header.type = type;
    std::memcpy(header.magic, "ustar", sizeof(header.magic));
    std::memcpy(header.version, "00", sizeof(header.version));
    SetOctal(header.checksum, ChecksumOf(header));
    return Append(reinterpret_cast<const char*>(&header), sizeof(header));
  }

  absl::Status Append(const char* data, size_t size) {
    if (size == 0) return absl::OkStatus();
    digest_.Update(data, size);
    bytes_ += size;
    return out_->Append(data, size);
  }

  AtomicFile* const out_;
  Digest digest_;
  uint64_t bytes_ = 0;
  uint64_t total_ = 0;
  int entries_ = 0;
  int files_ = 0;
};

template <size_t N>
absl::string_view Text(const char (&field)[N]) {
  return absl::string_view(field, ::strnlen(field, N));
}

// False for anything but digits and the zero that ends them.
template <size_t N>
bool GetOctal(const char (&field)[N], uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i + 1 < N; ++i) {
    if (field[i] < '0' || field[i] > '7') return false;
    *value = *value << 3 | static_cast<uint64_t>(field[i] - '0');
  }
  return field[N - 1] == '\0';
}

bool GetSize(const Header& header, uint64_t* size) {
  if (static_cast<unsigned char>(header.size[0]) != 0x80) return GetOctal(header.size, size);
  *size = 0;
  for (size_t i = 1; i < sizeof(header.size); ++i) {
    if (*size > kMaxArchiveBytes) return false;
    *size = *size << 8 | static_cast<unsigned char>(header.size[i]);
  }
  return true;
}

class Reader {
 public:
  Reader(RegularFile file, const Directory& into) : file_(std::move(file)), into_(into) {}

  absl::Status Run() {
    for (int entries = 0;; ++entries) {
      Header header;
      COPPICE_RETURN_IF_ERROR(Fill(reinterpret_cast<char*>(&header), sizeof(header)));
      if (IsEnd(header)) return absl::OkStatus();
      if (entries == kMaxArchiveEntries) return Damaged("has too many entries");
      COPPICE_RETURN_IF_ERROR(ReadEntry(header));
    }
  }

 private:
  static bool IsEnd(const Header& header) {
    const auto* bytes = reinterpret_cast<const char*>(&header);
    return std::all_of(bytes, bytes + kBlock, [](char c) { return c == '\0'; });
  }
  absl::Status Damaged(absl::string_view why) const {
    return absl::DataLossError(
        absl::StrCat(file_.path(), " ", why, ", which no archive of a checkpoint has"));
  }

  absl::Status ReadEntry(const Header& header) {
    uint64_t checksum = 0;
    uint64_t size = 0;
    if (Text(header.magic) != "ustar" || !GetOctal(header.checksum, &checksum) ||
        checksum != ChecksumOf(header) || !GetSize(header, &size)) {
      return Damaged("has a wrong header");
    }
    std::string path(Text(header.name));
    if (header.prefix[0] != '\0') path = absl::StrCat(Text(header.prefix), "/", path);
    const bool folder = header.type == kFolderType;
    if (folder && absl::EndsWith(path, "/")) path.pop_back();
    if (!IsSafeRelativePath(path) || std::count(path.begin(), path.end(), '/') > kMaxArchiveDepth) {
      return Damaged("has a path outside of its folder");
    }
    if (!folder && header.type != kRegular) return Damaged("has something that is no file");
    total_ += size;
    if (total_ > kMaxArchiveBytes || (folder && size > 0)) return Damaged("has a wrong size");
    return Create(path, folder, size);
  }

  absl::Status Create(const std::string& path, bool is_folder, uint64_t size) {
    const size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    absl::StatusOr<Directory> parent =
        slash == std::string::npos ? into_.OpenFolder(".") : into_.Walk(path.substr(0, slash));
    if (absl::IsNotFound(parent.status())) return Damaged("has an entry before its folder");
    COPPICE_RETURN_IF_ERROR(parent.status());
    if (is_folder) {
      if (::mkdirat(parent->fd(), name.c_str(), 0755) == 0) return absl::OkStatus();
      if (errno == EEXIST) return Damaged("has an entry twice");
      return ErrnoToStatus(errno, absl::StrCat("cannot create ", JoinPath(into_.path(), path)));
    }
    const int fd = ::openat(parent->fd(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) return Damaged("has an entry twice");
    if (fd < 0) {
      return ErrnoToStatus(errno, absl::StrCat("cannot create ", JoinPath(into_.path(), path)));
    }
    const absl::Status copied = Copy(fd, path, size);
    if (::close(fd) != 0 && copied.ok()) {
      return ErrnoToStatus(errno, absl::StrCat("cannot write ", JoinPath(into_.path(), path)));
    }
    return copied;
  }

  absl::Status Copy(int fd, const std::string& path, uint64_t size) {
    std::string piece(static_cast<size_t>(std::min<uint64_t>(kPiece, size)), '\0');
    for (uint64_t left = size; left > 0;) {
      const auto count = static_cast<size_t>(std::min<uint64_t>(piece.size(), left));
      COPPICE_RETURN_IF_ERROR(Fill(piece.data(), count));
      for (size_t done = 0; done < count;) {
        const ssize_t written = ::write(fd, piece.data() + done, count - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
          return ErrnoToStatus(errno, absl::StrCat("cannot write ", JoinPath(into_.path(), path)));
        }
        done += static_cast<size_t>(written);
      }
      left -= count;
    }
    std::array<char, kBlock> padding;
    return Fill(padding.data(), (kBlock - size % kBlock) % kBlock);
  }

  absl::Status Fill(char* data, size_t size) {
    while (size > 0) {
      COPPICE_ASSIGN_OR_RETURN(const size_t got, file_.Read(data, size));
      if (got == 0) return Damaged("ends too early");
      data += got;
      size -= got;
    }
    return absl::OkStatus();
  }

  RegularFile file_;
  const Directory& into_;
  uint64_t total_ = 0;
};

}  // namespace

absl::StatusOr<Archived> WriteArchive(const Directory& folder, const std::string& path) {
  COPPICE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path));
  Writer writer(&file);
  COPPICE_RETURN_IF_ERROR(writer.AddFolder(folder, "", 1));
  if (writer.files() == 0) return Refused(folder.path(), "has no file in it");
  COPPICE_RETURN_IF_ERROR(writer.Finish());
  COPPICE_RETURN_IF_ERROR(file.Commit());
  return writer.result();
}

absl::Status ReadArchive(const std::string& path, const Directory& into) {
  COPPICE_ASSIGN_OR_RETURN(RegularFile file, RegularFile::Open(path));
  return Reader(std::move(file), into).Run();
}

}  // namespace coppice::worker
