// Words that can complete the command line at the cursor, for any shell.
#ifndef COPPICE_CLI_COMPLETION_H_
#define COPPICE_CLI_COMPLETION_H_

#include <iosfwd>
#include <string>
#include <vector>

#include "cli/context.h"

namespace CLI {
class App;
}

namespace coppice::cli {

struct Completion {
  std::vector<std::string> words;  // whole words that begin with the typed text
  bool files = false;              // a file name is expected; the shell completes it
  bool goes_on = false;            // no blank after the word: a path has more parts
};

// `words` follow the program's name. The last one is being typed and may be empty. Names of sweeps
// and jobs come from the coordinator. If it does not answer there are none, since the shell waits
// in the middle of a word.
Completion Complete(const CLI::App& root, const std::vector<std::string>& words, Context* context);

// Prints one word a line, then a line for the script: ":files", ":goes-on" or ":".
void PrintCompletion(const Completion& completion, std::ostream& out);

// Returns the script for "bash", "zsh" or "fish"; empty for another shell.
std::string CompletionScript(const std::string& shell);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_COMPLETION_H_
