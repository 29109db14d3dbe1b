#ifndef COPPICE_BENCH_CONTROL_PLANE_TABLE_H_
#define COPPICE_BENCH_CONTROL_PLANE_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace coppice::bench {

// The figures, each beside its target if it has one. Prints as a Markdown table.
class Table {
 public:
  void Add(std::string what, std::string figure) {
    rows_.push_back({std::move(what), std::move(figure), "", ""});
  }
  void AtMost(std::string what, double figure, double target, const char* unit);
  void AtLeast(std::string what, double figure, double target, const char* unit);
  std::string Render() const;
  int missed() const { return missed_; }

 private:
  struct Row {
    std::string what, figure, target, verdict;
  };
  void Judge(std::string what, double figure, const std::string& target, const char* unit,
             bool met);
  std::vector<Row> rows_;
  int missed_ = 0;
};

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_CONTROL_PLANE_TABLE_H_
