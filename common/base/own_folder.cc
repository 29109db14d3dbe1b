#include "common/base/own_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/file_names.h"
#include "common/base/files.h"
#include "common/base/logging.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"

namespace coppice {
namespace {

constexpr size_t kMaxNamesListed = 5;

std::string MarkText(const OwnFolderKind& kind) {
  return absl::StrCat("coppice: ", kind.what, ", version ", kind.version, "\n");
}

// True if `entry` matches `name`, an item of a kind's list.
bool Matches(const Directory::Entry& entry, absl::string_view name) {
  const bool folder = absl::ConsumeSuffix(&name, "/");
  return entry.name == name && (folder ? entry.is_folder() : entry.is_file()) &&
         entry.info.st_uid == ::geteuid();
}

bool IsListed(const Directory::Entry& entry, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Matches(entry, name); });
}

bool IsNeeded(const std::string& name, const OwnFolderKind& kind) {
  return std::any_of(kind.needs.begin(), kind.needs.end(),
                     [&](const std::string& pattern) { return NameFits(name, pattern); });
}

bool IsProven(const std::vector<Directory::Entry>& entries, const OwnFolderKind& kind) {
  return !kind.proof.empty() &&
         std::all_of(kind.proof.begin(), kind.proof.end(), [&](const std::string& name) {
           return std::any_of(entries.begin(), entries.end(),
                              [&](const Directory::Entry& entry) { return Matches(entry, name); });
         });
}

// A link under one of our names is the most likely obstacle, so it gets a message of its own.
absl::Status CheckNoLink(const Directory& folder, const Directory::Entry& entry,
                         const OwnFolderKind& kind) {
  const auto is_it = [&](absl::string_view name) {
    absl::ConsumeSuffix(&name, "/");
    return entry.name == name;
  };
  const bool ours = std::any_of(kind.proof.begin(), kind.proof.end(), is_it) ||
                    std::any_of(kind.more.begin(), kind.more.end(), is_it);
  if (!ours || !S_ISLNK(entry.info.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      JoinPath(folder.path(), entry.name),
      " is a symbolic link, which is not followed here; to use another disk, name a folder on it "
      "with ",
      kind.flag, " DIR"));
}

absl::Status MarkAs(const Directory& folder, const OwnFolderKind& kind) {
  COPPICE_ASSIGN_OR_RETURN(std::vector<Directory::Entry> entries, folder.List());
  const auto ignored = [&](const Directory::Entry& entry) {
    return IsOfTheFilesystem(entry.name) ||
           // Left by a process that was killed while it made the mark.
           absl::StartsWith(entry.name, absl::StrCat(kind.mark, ".tmp-"));
  };
  entries.erase(std::remove_if(entries.begin(), entries.end(), ignored), entries.end());
  for (const Directory::Entry& entry : entries)
    COPPICE_RETURN_IF_ERROR(CheckNoLink(folder, entry, kind));
  const bool earlier = IsProven(entries, kind);
  std::vector<std::string> foreign;
  for (const Directory::Entry& entry : entries) {
    if (earlier && (IsListed(entry, kind.proof) || IsListed(entry, kind.more))) continue;
    if (kind.needs.empty() || (!earlier && IsNeeded(entry.name, kind))) {
      foreign.push_back(entry.name);
    }
  }
  if (foreign.empty()) {
    if (earlier) {
      spdlog::info("{} was made by a version that marked no folders; it is marked now ({})",
                   folder.path(), kind.mark);
    }
    return folder.Write(kind.mark, MarkText(kind));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      folder.path(), " holds other files than ", kind.what, " (", SomeNames(foreign), ")",
      earlier ? "; move them away, or choose a new or empty folder with "
              : "; choose a new or empty folder with ",
      kind.flag, " DIR"));
}

bool ForAll(const struct stat& info) { return (info.st_mode & S_IWOTH) != 0; }

}  // namespace

absl::Status CheckFolderMark(const Directory& folder, const OwnFolderKind& kind) {
  COPPICE_ASSIGN_OR_RETURN(const std::string text, folder.Read(kind.mark));
  absl::string_view rest = absl::StripSuffix(text, "\n");
  int version = 0;
  if (!absl::ConsumePrefix(&rest, absl::StrCat("coppice: ", kind.what, ", version ")) ||
      !absl::SimpleAtoi(rest, &version) || version < 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder.path(), " is marked as another kind of folder (", kind.mark,
        " in it does not say \"", kind.what, "\"); choose another with ", kind.flag, " DIR"));
  }
  if (version <= kind.version) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(folder.path(), " was written by a later Coppice (version ", version, " of ",
                   kind.what, ", this program knows ", kind.version,
                   "); run that one, or choose another folder with ", kind.flag, " DIR"));
}

absl::Status CheckNotBelowAStranger(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    return ErrnoToStatus(errno, absl::StrCat("cannot resolve ", path));
  }
  const std::string whole = resolved;
  bool open_to_all = false;  // of the parent folder
  for (size_t slash = 0; slash != std::string::npos;) {
    const std::string part = slash == 0 ? "/" : whole.substr(0, slash);
    struct stat info;
    if (::lstat(part.c_str(), &info) != 0) {
      return ErrnoToStatus(errno, absl::StrCat("cannot read ", part));
    }
    if (open_to_all && info.st_uid != ::geteuid() && info.st_uid != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          whole, " lies in ", part, ", which another account (user id ", info.st_uid,
          ") made in a folder that everybody may write to; choose a folder of your own"));
    }
    open_to_all = ForAll(info);
    if (whole.size() == 1) break;
    slash = whole.find('/', slash + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<Directory> ClaimFolder(const std::string& path, const OwnFolderKind& kind) {
  const auto remedy = [&](const absl::Status& status) {
    if (!absl::IsFailedPrecondition(status) || absl::StrContains(status.message(), kind.flag)) {
      return status;
    }
    return absl::FailedPreconditionError(
        absl::StrCat(status.message(), " (", kind.flag, " DIR names another)"));
  };
  absl::StatusOr<Directory> folder = Directory::Open(path);
  if (absl::IsNotFound(folder.status())) {
    COPPICE_RETURN_IF_ERROR(MakePrivateDirectories(path));
    folder = Directory::Open(path);
  }
  if (!folder.ok()) return remedy(folder.status());
  // An empty folder holds nobody's files yet.
  COPPICE_ASSIGN_OR_RETURN(const std::vector<Directory::Entry> entries, folder->List());
  if (entries.empty()) folder->MakePrivate().status().IgnoreError();
  COPPICE_RETURN_IF_ERROR(remedy(folder->CheckOwned()));
  COPPICE_RETURN_IF_ERROR(remedy(CheckNotBelowAStranger(path)));
  absl::Status marked = CheckFolderMark(*folder, kind);
  if (absl::IsNotFound(marked)) marked = MarkAs(*folder, kind);
  if (!marked.ok()) return remedy(marked);
  return folder;
}

bool IsOfTheFilesystem(const std::string& name) {
  return name == "lost+found" || name == ".snapshot";
}

std::string SomeNames(const std::vector<std::string>& names) {
  const size_t listed = std::min(names.size(), kMaxNamesListed);
  const std::string text =
      absl::StrJoin(names.begin(), names.begin() + static_cast<long>(listed), ", ");
  return names.size() > listed ? absl::StrCat(text, " and ", names.size() - listed, " more") : text;
}

}  // namespace coppice
