// The names that Coppice gives to files which it may remove again: what has another name stays.
#ifndef COPPICE_COMMON_BASE_FILE_NAMES_H_
#define COPPICE_COMMON_BASE_FILE_NAMES_H_

#include "absl/strings/string_view.h"

namespace coppice {

// Whether the whole of `name` is `pattern`, in which '#' stands for one or more decimal digits, '%'
// for one or more hexadecimal ones (lower case), and everything else for itself.
bool NameFits(absl::string_view name, absl::string_view pattern);

// The same, also with the ending that a file has until it is whole (AtomicFile, Directory::Write):
// a process that was killed leaves such.
bool NameFitsOrIsUnfinished(absl::string_view name, absl::string_view pattern);

// A checkpoint, or a second name of one that is resumed from, whole or not: "step-000000100",
// "resume-attempt-3-step-100", with ".safetensors" or without it.
bool IsCheckpointFileName(absl::string_view name);

// "attempt-7": an attempt's folder. "epoch-7" is one that an earlier version made.
bool IsAttemptFolderName(absl::string_view name);
// Takes what stands before the number from the name of an attempt's folder; false: it is none.
bool ConsumeAttemptPrefix(absl::string_view* name);

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_FILE_NAMES_H_
