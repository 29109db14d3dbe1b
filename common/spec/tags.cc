#include "common/spec/tags.h"

#include "absl/strings/str_cat.h"
#include "common/base/names.h"
#include "common/settings/setting.h"

namespace coppice::spec {

std::string TagMistake(absl::string_view tag) {
  if (IsPlainName(tag, kMaxTagBytes)) return "";
  return absl::StrCat("is ", settings::Quoted(tag), ", no tag; use at most ", kMaxTagBytes,
                      " letters, digits, '.', '_' and '-', the first a letter or a digit");
}

}  // namespace coppice::spec
