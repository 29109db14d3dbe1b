// A second, independent reader of the question and tense grammars, which checks generated lines. It
// works on the words' text and on patterns of part-of-speech letters.
#ifndef COPPICE_TESTS_WORKER_TRAINER_TASKS_ORACLE_H_
#define COPPICE_TESTS_WORKER_TRAINER_TASKS_ORACLE_H_

#include <map>
#include <string>
#include <vector>

#include "worker/trainer/tasks/dataset.h"

namespace coppice::trainer {

std::vector<std::string> SplitWords(const std::string& text);

// A parsed line of a question or tense dataset.
struct Reading {
  std::string error;  // empty: the line is right
  std::string sentence;
  std::string task_word;
  std::string subject;  // "plain", "prep", "orc", "src_i", "src_t"
  std::string object;   // the same, or "intrans"
  std::vector<std::string> auxiliaries;
  bool nearest_noun_agrees =
      false;           // the noun nearest before the main verb has the subject's number
  int main_verb = -1;  // word index in the sentence
};

class Oracle {
 public:
  explicit Oracle(Task task);
  Reading Read(const std::string& line) const;

 private:
  struct Shape {
    std::string subject;
    std::string object;
    size_t subject_length;
  };
  std::string Tags(const std::vector<std::string>& words) const;
  std::string Present(const std::string& past, bool plural) const;
  std::string Expected(const Reading& reading, const std::vector<std::string>& words,
                       const std::string& tags) const;

  bool tense_;
  std::map<std::string, char> tags_;         // word -> D N P R X I T
  std::map<std::string, std::string> base_;  // past -> base
  std::map<std::string, Shape> shapes_;      // tag string -> types
};

}  // namespace coppice::trainer

#endif  // COPPICE_TESTS_WORKER_TRAINER_TASKS_ORACLE_H_
