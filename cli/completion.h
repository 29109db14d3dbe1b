// What may stand where a shell's cursor is, for whichever shell asks.
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
  std::vector<std::string> words;  // whole words that begin with what is there
  bool files = false;              // a file's name, which the shell completes better
  bool goes_on = false;            // no blank behind the word: a path has further parts
};

// `words` follow the program's name; the last is the one being written, perhaps empty. Asks the
// coordinator for the names of what it has; where that does not answer there are none, since the
// shell waits in the middle of a word.
Completion Complete(const CLI::App& root, const std::vector<std::string>& words, Context* context);

// A word a line, then a line for the script: ":files", ":goes-on" or ":".
void PrintCompletion(const Completion& completion, std::ostream& out);

// Of "bash", "zsh" or "fish"; empty for another shell.
std::string CompletionScript(const std::string& shell);

}  // namespace coppice::cli

#endif  // COPPICE_CLI_COMPLETION_H_
