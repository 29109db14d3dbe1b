#include "cli/spec_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/spec_tree.h"
#include "cli/yaml_notes.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/base/utf8.h"
#include "common/spec/spec.h"
#include "common/spec/warnings.h"

namespace coppice::cli {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxShown = 20;

std::string At(const std::string& file, const Position& at) {
  if (!at.flag.empty()) return at.flag;
  return absl::StrCat(file, ":", at.line, ":", at.column);
}

absl::Status OneMistake(const std::string& file, const Position& at, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(At(file, at), ": ", message));
}

// Lists the mistakes in the order of the file.
absl::Status MistakesToStatus(const std::string& file, std::vector<Mistake> mistakes) {
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return std::tie(a.at.flag, a.at.line, a.at.column) <
           std::tie(b.at.flag, b.at.line, b.at.column);
  });
  std::string text;
  for (size_t i = 0; i < std::min(mistakes.size(), kMaxShown); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "\n", At(file, mistakes[i].at), ": ", mistakes[i].message);
  }
  if (mistakes.size() > kMaxShown) {
    absl::StrAppend(&text, "\n", file, ": and ", mistakes.size() - kMaxShown, " more");
  }
  return absl::InvalidArgumentError(text);
}

// Refuses bytes that no YAML reader should see: NUL and other controls, and invalid UTF-8.
absl::Status CheckBytes(absl::string_view text, const std::string& file) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": is larger than 1 MiB; write seeds as a range (0-9), or split the sweep"));
  }
  Position at;
  for (const char c : text) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
      continue;
    }
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\t' && c != '\r') {
      return OneMistake(file, at, "a control character; save the file as plain UTF-8 text");
    }
    ++at.column;
  }
  if (ToValidUtf8(text) != text) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": is not UTF-8 text; save it as UTF-8"));
  }
  return absl::OkStatus();
}

// A program's relative folder counts from the folder of the spec file, or from the working
// directory where the text comes from no file.
void MakeDirectoryAbsolute(const std::string& file, v1::SweepSpec* spec) {
  namespace fs = std::filesystem;
  if (spec->program().directory().empty()) return;
  std::error_code error;
  const fs::path from = (fs::current_path(error) / file).parent_path();
  const fs::path folder = (from / spec->program().directory()).lexically_normal();
  // The path of a folder has no slash at its end.
  spec->mutable_program()->set_directory(
      (folder.has_filename() || folder == folder.root_path() ? folder : folder.parent_path())
          .string());
}

// Reads up to one byte more than allowed, which is enough to see that a file or an endless pipe is
// too large.
std::string ReadBounded(std::istream& in) {
  std::string text(kMaxBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

// Counts the beginnings of documents.
class DocumentStarts : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { last_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  const YAML::Mark& last() const { return last_; }

 private:
  YAML::Mark last_;
};

// Returns the one document of a file. YAML::LoadAll would produce endless documents from some texts
// (", a"), so only the first is loaded, and a second one is only detected.
absl::StatusOr<YAML::Node> ParseYaml(absl::string_view text, const std::string& file) {
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    DocumentStarts starts;
    const bool any = parser.HandleNextDocument(starts);
    if (any && parser.HandleNextDocument(starts)) {
      return OneMistake(file, PositionOf(starts.last()),
                        "a second document starts here; put one sweep in a file");
    }
    YAML::Node root;
    if (any) root = YAML::Load(std::string(text));
    if (!any || !root.IsDefined() || root.IsNull()) {
      return OneMistake(file, {}, "is empty; a sweep needs name, tasks, depths and seeds");
    }
    return root;
  } catch (const YAML::Exception& error) {
    return OneMistake(file, PositionOf(error.mark),
                      absl::StrCat("not YAML: ", absl::Utf8SafeCEscape(error.msg),
                                   "; check indentation, colons and brackets"));
  } catch (const std::exception& error) {
    return OneMistake(file, {},
                      absl::StrCat("not YAML: ", absl::Utf8SafeCEscape(error.what()),
                                   "; check indentation, colons and brackets"));
  }
}

absl::StatusOr<SpecFile> ReadTree(const YAML::Node& root, const std::string& file,
                                  const SpecChanges& changes) {
  SpecFile result;
  result.name = file;
  YamlNotes notes;
  try {
    ReadSpecTree(root, changes, &notes, &result.spec);
  } catch (const std::exception& error) {
    return OneMistake(file, {},
                      absl::StrCat("cannot be read: ", absl::Utf8SafeCEscape(error.what()),
                                   "; simplify the file"));
  }
  if (!notes.mistakes().empty()) return MistakesToStatus(file, notes.mistakes());
  result.positions = notes.positions();
  return result;
}

// "a.b[3].c" -> "a.b[3]" -> "a.b" -> "a" -> "".
std::string Around(const std::string& path) {
  const size_t cut = path.find_last_of(".[");
  return cut == std::string::npos ? "" : path.substr(0, cut);
}

Position Find(const SpecFile& file, std::string path) {
  for (;; path = Around(path)) {
    const auto found = file.positions.find(path);
    if (found != file.positions.end()) return found->second;
    if (path.empty()) return {};
  }
}

}  // namespace

std::string FlagsText(const SpecChanges& changes) {
  std::string text;
  for (const std::string& set : changes.set) absl::StrAppend(&text, " --set '", set, "'");
  for (const std::string& axis : changes.axis) absl::StrAppend(&text, " --axis '", axis, "'");
  return text;
}

std::string SpecFile::Locate(const std::string& path) const { return At(name, Find(*this, path)); }

absl::StatusOr<SpecFile> ParseSpec(absl::string_view text, const std::string& file,
                                   const SpecChanges& changes) {
  COPPICE_RETURN_IF_ERROR(CheckBytes(text, file));
  COPPICE_ASSIGN_OR_RETURN(const YAML::Node root, ParseYaml(text, file));
  COPPICE_ASSIGN_OR_RETURN(SpecFile result, ReadTree(root, file, changes));
  MakeDirectoryAbsolute(file, &result.spec);
  std::vector<Mistake> mistakes;
  for (const spec::Problem& problem : spec::ValidateSweepSpec(result.spec)) {
    mistakes.push_back(
        {Find(result, problem.path), absl::StrCat(problem.path, " ", problem.message)});
  }
  if (!mistakes.empty()) return MistakesToStatus(file, std::move(mistakes));
  return result;
}

std::vector<std::string> SpecWarnings(const SpecFile& file) {
  std::vector<std::string> warnings;
  for (const spec::Problem& warning : spec::Warnings(file.spec))
    warnings.push_back(absl::StrCat(file.Locate(warning.path), ": ", warning.message));
  return warnings;
}

absl::StatusOr<SpecFile> ReadSpecFile(const std::string& path, const SpecChanges& changes) {
  if (path == "-") return ParseSpec(ReadBounded(std::cin), "<stdin>", changes);
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) {
    const absl::Status status = ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
    return absl::InvalidArgumentError(
        absl::StrCat(status.message(), "; name a sweep spec, for example deploy/sweeps/demo.yaml"));
  }
  const std::string text = ReadBounded(in);
  if (in.bad() || std::filesystem::is_directory(path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", path, "; name a file that holds a sweep spec"));
  }
  return ParseSpec(text, path, changes);
}

}  // namespace coppice::cli
