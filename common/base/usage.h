// Advice for a wrong command line: the flag or command that was most likely meant. CLI11's
// application is a template parameter, so that the library itself does not need CLI11.
#ifndef COPPICE_COMMON_BASE_USAGE_H_
#define COPPICE_COMMON_BASE_USAGE_H_

#include <string>
#include <vector>

namespace coppice {

// The names that may follow on a command line: the flags of the application and of the commands
// named so far, and the subcommands of the last of these.
struct UsageNames {
  std::vector<std::string> flags;  // with dashes
  std::vector<std::string> commands;
  bool takes_words = false;                // accepts words besides commands: files, sweeps
  std::vector<std::string> switches = {};  // the `flags` that take no value
};

// "; did you mean --depth?" for the first unknown flag of `args`, or for the first unknown word if
// only commands are accepted. "" if there is none, or if no name is near it.
std::string UsageAdvice(const UsageNames& names, const std::vector<std::string>& args);

template <typename App>
UsageNames NamesOf(const App& app, const std::vector<std::string>& args) {
  UsageNames names;
  const auto all = [](const App*) { return true; };
  std::vector<const App*> path = {&app};
  for (const std::string& arg : args) {
    for (const App* command : path.back()->get_subcommands(all)) {
      if (command->get_name() != arg) continue;
      path.push_back(command);
      break;
    }
  }
  for (const App* each : path) {
    for (const auto* option : each->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.flags.push_back("--" + name);
        if (option->get_items_expected_max() == 0) names.switches.push_back("--" + name);
      }
      if (each == path.back() && option->get_positional()) names.takes_words = true;
    }
    // A command that was recognized must not count as unknown.
    if (each != &app) names.commands.push_back(each->get_name());
  }
  for (const App* command : path.back()->get_subcommands(all)) {
    if (!command->get_group().empty()) names.commands.push_back(command->get_name());
  }
  return names;
}

template <typename App>
std::string UsageAdvice(const App& app, const std::vector<std::string>& args) {
  return UsageAdvice(NamesOf(app, args), args);
}

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_USAGE_H_
