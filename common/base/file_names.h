// The names of the files that Coppice may remove. A file of any other name stays.
#ifndef COPPICE_COMMON_BASE_FILE_NAMES_H_
#define COPPICE_COMMON_BASE_FILE_NAMES_H_

#include "absl/strings/string_view.h"

namespace coppice {

// Whether the whole of `name` is `pattern`, in which '#' stands for one or more decimal digits, '%'
// for one or more hexadecimal ones (lower case), '*' for one or more letters and digits, and
// everything else for itself.
bool NameFits(absl::string_view name, absl::string_view pattern);

// The same, but also accepts the temporary suffix of an incomplete file (AtomicFile,
// Directory::Write). A killed process leaves such files behind.
bool NameFitsOrIsUnfinished(absl::string_view name, absl::string_view pattern);

// True for the name of a checkpoint, or for the second name of one that a job resumes from,
// complete or not: "step-000000100", "resume-attempt-3-step-100", with or without ".safetensors".
// Those of a user's own program end with ".tar" (a folder), or with ".file" and perhaps one suffix
// more.
bool IsCheckpointFileName(absl::string_view name);

// True for the archive of a folder that a program has saved.
bool IsCheckpointArchiveName(absl::string_view name);

// The folder in an attempt's folder that belongs to a user's own program, with all that is in it.
inline constexpr char kProgramWorkFolder[] = "work";

// True for an attempt's folder: "attempt-7", or "epoch-7" from an earlier version.
bool IsAttemptFolderName(absl::string_view name);
// Removes the prefix before the number from an attempt folder's name. False: it has no such prefix.
bool ConsumeAttemptPrefix(absl::string_view* name);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_FILE_NAMES_H_
