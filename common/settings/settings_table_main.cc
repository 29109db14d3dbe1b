// coppice-settings-table            prints the documented table of settings
// coppice-settings-table FILE       writes it into a document, between its marks
#include <iostream>
#include <string>

#include "common/base/files.h"
#include "common/base/output_file.h"
#include "common/settings/markdown.h"

int main(int argc, char** argv) {
  const std::string rows = coppice::settings::MarkdownTable(coppice::settings::RunSettings());
  if (argc == 1) {
    std::cout << rows;
    return std::cout.flush() ? 0 : 1;
  }
  if (argc > 2 || argv[1][0] == '-') {
    std::cerr << "usage: coppice-settings-table [docs/sweep-spec.md]\n";
    return 2;
  }
  const auto write = [&]() -> absl::Status {
    const auto document = coppice::ReadFile(argv[1]);
    if (!document.ok()) return document.status();
    const auto changed = coppice::settings::WithTable(*document, rows);
    if (!changed.ok()) return changed.status();
    return coppice::WriteOutputFile(argv[1], *changed, coppice::OutputFile::Existing::kReplace);
  };
  if (const absl::Status written = write(); !written.ok()) {
    std::cerr << "coppice-settings-table: " << argv[1] << ": " << written.message() << "\n";
    return 1;
  }
  return 0;
}
