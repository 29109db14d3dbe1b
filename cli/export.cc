#include "cli/export.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/base/files.h"
#include "common/base/output.h"
#include "common/base/status_macros.h"
#include "common/base/user_folders.h"

namespace coppice::cli {
namespace {

using Coordinates = google::protobuf::RepeatedPtrField<v1::Coordinate>;

std::vector<std::string> AxisNames(const Coordinates& point) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(point.size()));
  for (const v1::Coordinate& coordinate : point) names.push_back(coordinate.axis());
  return names;
}

// For an export without rows.
absl::StatusOr<std::vector<std::string>> AxisNamesOfSweep(Client* client,
                                                          const std::string& sweep) {
  COPPICE_ASSIGN_OR_RETURN(const v1::GetSweepResponse found, client->GetSweep(sweep));
  std::vector<std::string> names;
  for (const v1::Axis& axis : found.spec().axes()) names.push_back(axis.name());
  return names;
}

// The columns task and depth, or one for each axis.
void AddAxisHeader(const std::vector<std::string>& axes, std::vector<std::string>* header) {
  if (axes.empty()) {
    header->insert(header->end(), {"task", "depth"});
  } else {
    header->insert(header->end(), axes.begin(), axes.end());
  }
}

// The value of a row on an axis; empty: its sweep has none of this name.
std::string ValueOn(const v1::JobMetrics& row, const std::string& axis) {
  if (row.point().empty()) {
    if (axis == "task") return row.task();
    return axis == "depth" ? absl::StrCat(row.depth()) : "";
  }
  for (const v1::Coordinate& coordinate : row.point()) {
    if (coordinate.axis() == axis) return coordinate.value();
  }
  return "";
}

template <typename Row>
void AddAxisCells(const Row& row, std::vector<std::string>* cells) {
  if (row.point().empty()) {
    cells->insert(cells->end(), {row.task(), absl::StrCat(row.depth())});
    return;
  }
  for (const v1::Coordinate& coordinate : row.point()) cells->push_back(coordinate.value());
}

// Writes the rows of one sweep into an unnamed file and remembers the metrics' names.
class Spool {
 public:
  explicit Spool(std::string sweep) : sweep_(std::move(sweep)) {}
  ~Spool() {
    if (fd_ >= 0) ::close(fd_);
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  absl::Status Fill(Client* client, const v1::GetMetricsRequest& request,
                    const std::string& folder) {
    COPPICE_ASSIGN_OR_RETURN(fd_, OpenUnnamedFile(folder.empty() ? TemporaryFolder() : folder));
    google::protobuf::io::FileOutputStream out(fd_);
    bool written = true;
    COPPICE_RETURN_IF_ERROR(
        client->GetMetrics(request, [&](const v1::GetMetricsResponse& response) {
          for (const v1::JobMetrics& row : response.rows()) {
            if (!any_) {
              any_ = true;
              axes_ = AxisNames(row.point());
            }
            for (const v1::MetricValue& value : row.row().values()) names_.insert(value.name());
          }
          written = google::protobuf::util::SerializeDelimitedToZeroCopyStream(response, &out);
          return written;
        }));
    if (!written || !out.Flush())
      return ErrnoToStatus(out.GetErrno(), "cannot write a temporary file");
    if (any_) return absl::OkStatus();
    COPPICE_ASSIGN_OR_RETURN(axes_, AxisNamesOfSweep(client, request.filter().sweep()));
    return absl::OkStatus();
  }

  absl::Status ForEach(const std::function<absl::Status(const v1::JobMetrics&)>& each) {
    if (::lseek(fd_, 0, SEEK_SET) != 0) {
      return ErrnoToStatus(errno, "cannot read a temporary file");
    }
    google::protobuf::io::FileInputStream in(fd_);
    for (;;) {
      v1::GetMetricsResponse response;
      bool at_end = false;
      if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&response, &in, &at_end)) {
        return at_end ? absl::OkStatus()
                      : absl::InternalError("a temporary file was damaged; run the command again");
      }
      for (const v1::JobMetrics& row : response.rows()) COPPICE_RETURN_IF_ERROR(each(row));
    }
  }

  const std::set<std::string>& names() const { return names_; }
  const std::string& sweep() const { return sweep_; }
  // Without seed.
  std::vector<std::string> axes() const {
    return axes_.empty() ? std::vector<std::string>{"task", "depth"} : axes_;
  }

 private:
  const std::string sweep_;
  int fd_ = -1;
  bool any_ = false;
  std::vector<std::string> axes_;
  std::set<std::string> names_;
};

using Spools = std::vector<std::unique_ptr<Spool>>;

// The columns of all rows together. Rows of several sweeps name theirs.
struct Columns {
  bool sweep = false;
  std::vector<std::string> axes;
  bool archived = false;
  std::set<std::string> names;

  // Those that identify a row: its sweep, the job, its axes, its seed, the step.
  size_t keys() const { return (sweep ? 1 : 0) + axes.size() + 3; }
};

Columns ColumnsOf(const Spools& spools, bool archived) {
  Columns columns;
  columns.sweep = spools.size() > 1;
  columns.archived = archived;
  for (const auto& spool : spools) {
    for (std::string& axis : spool->axes()) {
      if (std::find(columns.axes.begin(), columns.axes.end(), axis) == columns.axes.end())
        columns.axes.push_back(std::move(axis));
    }
    columns.names.insert(spool->names().begin(), spool->names().end());
  }
  return columns;
}

std::vector<std::string> Header(const Columns& columns) {
  std::vector<std::string> header;
  if (columns.sweep) header.emplace_back("sweep");
  header.emplace_back("job_id");
  header.insert(header.end(), columns.axes.begin(), columns.axes.end());
  header.insert(header.end(), {"seed", "step"});
  if (columns.archived) header.insert(header.end(), {"attempt", "archived"});
  header.insert(header.end(), columns.names.begin(), columns.names.end());
  return header;
}

std::vector<std::string> Cells(const Columns& columns, const std::string& sweep,
                               const v1::JobMetrics& row,
                               const std::function<std::string(double)>& number) {
  std::vector<std::string> cells;
  if (columns.sweep) cells.push_back(sweep);
  cells.push_back(absl::StrCat(row.job_id()));
  for (const std::string& axis : columns.axes) cells.push_back(ValueOn(row, axis));
  cells.insert(cells.end(), {absl::StrCat(row.seed()), absl::StrCat(row.row().step())});
  if (columns.archived)
    cells.insert(cells.end(), {absl::StrCat(row.attempt()), row.archived() ? "true" : "false"});
  for (const std::string& name : columns.names) {
    std::string cell;
    for (const v1::MetricValue& value : row.row().values()) {
      if (value.name() == name) cell = number(value.value());
    }
    cells.push_back(std::move(cell));
  }
  return cells;
}

std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i)
    absl::StrAppend(&line, i == 0 ? "" : ",", CsvCell(cells[i]));
  return line + "\n";
}

// Columns are as wide as their header, and at least as wide as a number with four digits: the rows
// are not known in advance.
std::string TableLine(const std::vector<std::string>& header, const std::vector<std::string>& cells,
                      size_t keys) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t width = std::max<size_t>(header[i].size(), i < keys ? 8 : 10);
    absl::StrAppend(&line, i == 0 ? "" : "  ",
                    absl::StrFormat("%*s", static_cast<int>(width), PrintableLine(cells[i])));
  }
  return line + "\n";
}

// Prints rows as tables of about a screen, each folded to the width of the terminal. So the folded
// blocks of a row stay close together, and only one table is in memory.
class FoldedTable {
 public:
  // The first `keys` columns identify a row; the last of them is the step.
  FoldedTable(std::vector<std::string> header, size_t keys, size_t width, const Sink& sink)
      : header_(std::move(header)), keys_(keys), width_(width), sink_(sink) {}

  absl::Status Add(std::vector<std::string> cells) {
    rows_.push_back(std::move(cells));
    return rows_.size() < kRowsAtATime ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    if (rows_.empty() && written_) return absl::OkStatus();
    // Folded blocks repeat the job and step of a row, and on a wide terminal also its axes.
    const bool narrow = width_ < 60 || KeyWidth() > width_ / 2;
    std::vector<size_t> order = {0};
    if (narrow) order.push_back(keys_ - 1);
    for (size_t c = 1; c < keys_ - (narrow ? 1 : 0); ++c) order.push_back(c);
    for (size_t c = keys_; c < header_.size(); ++c) order.push_back(c);
    std::vector<Table::Column> columns;
    columns.reserve(order.size());
    for (const size_t c : order) columns.push_back({PrintableLine(header_[c]), Align::kRight});
    Table table(std::move(columns));
    for (const std::vector<std::string>& row : rows_) {
      std::vector<std::string> cells;
      cells.reserve(order.size());
      for (const size_t c : order) cells.push_back(PrintableLine(row[c]));
      table.AddRow(std::move(cells));
    }
    rows_.clear();
    const std::string before = std::exchange(written_, true) ? "\n" : "";
    return sink_(before + table.Render(width_, narrow ? 2 : keys_));
  }

 private:
  // Of the columns that identify a row; those of task, depth and seed always fit.
  size_t KeyWidth() const {
    size_t width = 0;
    for (size_t c = 0; keys_ != 5 && c < keys_; ++c) width += DisplayWidth(header_[c]) + 2;
    return width;
  }

  static constexpr size_t kRowsAtATime = 50;
  const std::vector<std::string> header_;
  const size_t keys_;
  const size_t width_;
  const Sink& sink_;
  std::vector<std::vector<std::string>> rows_;
  bool written_ = false;
};

// A row as JSON, with the name of its sweep (a plain name, which needs no escape) unless that is
// empty.
std::string RowJson(const std::string& sweep, const v1::JobMetrics& row) {
  std::string json = ToJson(row, false);
  if (!sweep.empty()) json.insert(json.find('{') + 1, absl::StrCat("\"sweep\":\"", sweep, "\","));
  return json;
}

absl::Status ExportJson(Client* client, const std::vector<v1::GetMetricsRequest>& requests,
                        bool lines, const Sink& sink) {
  absl::Status failure;
  bool first = true;
  if (!lines) COPPICE_RETURN_IF_ERROR(sink("{\"rows\": ["));
  for (const v1::GetMetricsRequest& request : requests) {
    const std::string sweep = requests.size() > 1 ? request.filter().sweep() : "";
    COPPICE_RETURN_IF_ERROR(
        client->GetMetrics(request, [&](const v1::GetMetricsResponse& response) {
          for (const v1::JobMetrics& row : response.rows()) {
            const char* before = lines ? "" : (first ? "\n" : ",\n");
            failure = sink(absl::StrCat(before, RowJson(sweep, row), lines ? "\n" : ""));
            first = false;
            if (!failure.ok()) return false;
          }
          return true;
        }));
    COPPICE_RETURN_IF_ERROR(failure);
  }
  return lines ? absl::OkStatus() : sink("\n]}\n");
}

absl::Status ForEachRow(
    const Spools& spools,
    const std::function<absl::Status(const std::string& sweep, const v1::JobMetrics&)>& each) {
  for (const auto& spool : spools) {
    COPPICE_RETURN_IF_ERROR(
        spool->ForEach([&](const v1::JobMetrics& row) { return each(spool->sweep(), row); }));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ExportMetrics(Client* client, const std::vector<v1::GetMetricsRequest>& requests,
                           MetricsFormat format, const Sink& sink, const std::string& folder,
                           size_t width) {
  if (format == MetricsFormat::kJson || format == MetricsFormat::kJsonLines) {
    return ExportJson(client, requests, format == MetricsFormat::kJsonLines, sink);
  }
  Spools spools;
  spools.reserve(requests.size());
  bool archived = false;
  for (const v1::GetMetricsRequest& request : requests) {
    spools.push_back(std::make_unique<Spool>(request.filter().sweep()));
    COPPICE_RETURN_IF_ERROR(spools.back()->Fill(client, request, folder));
    archived |= request.include_archived();
  }
  const Columns columns = ColumnsOf(spools, archived);
  const std::vector<std::string> header = Header(columns);
  const bool csv = format == MetricsFormat::kCsv;
  const size_t keys = columns.keys();
  if (!csv && width > 0) {
    FoldedTable table(header, keys, width, sink);
    COPPICE_RETURN_IF_ERROR(
        ForEachRow(spools, [&](const std::string& sweep, const v1::JobMetrics& row) {
          return table.Add(Cells(columns, sweep, row, FormatShort));
        }));
    return table.Flush();
  }
  COPPICE_RETURN_IF_ERROR(sink(csv ? CsvLine(header) : TableLine(header, header, keys)));
  return ForEachRow(spools, [&](const std::string& sweep, const v1::JobMetrics& row) {
    const std::vector<std::string> cells =
        Cells(columns, sweep, row, csv ? FormatExact : FormatShort);
    return sink(csv ? CsvLine(cells) : TableLine(header, cells, keys));
  });
}

absl::Status ExportJobsCsv(Client* client, const v1::JobFilter& filter, const Sink& sink) {
  const auto header = [&](const std::vector<std::string>& axes) {
    std::vector<std::string> names = {"job_id"};
    AddAxisHeader(axes, &names);
    for (const char* name :
         {"seed", "state", "step", "steps", "attempts", "failures", "attempt", "worker",
          "checkpoint_step", "created_ms", "started_ms", "finished_ms", "reason"})
      names.emplace_back(name);
    return CsvLine(names);
  };
  bool begun = false;
  absl::Status failure;
  COPPICE_RETURN_IF_ERROR(client->ListJobs(filter, false, [&](const v1::ListJobsResponse& page) {
    std::string text;
    for (const v1::Job& j : page.jobs()) {
      if (!std::exchange(begun, true)) text = header(AxisNames(j.point()));
      std::vector<std::string> cells = {absl::StrCat(j.id())};
      AddAxisCells(j, &cells);
      cells.insert(cells.end(),
                   {absl::StrCat(j.seed()), v1::JobState_Name(j.state()), absl::StrCat(j.step()),
                    absl::StrCat(j.steps()), absl::StrCat(j.attempts()), absl::StrCat(j.failures()),
                    absl::StrCat(j.attempt()), j.worker(), absl::StrCat(j.checkpoint_step()),
                    absl::StrCat(j.created_ms()), absl::StrCat(j.started_ms()),
                    absl::StrCat(j.finished_ms()), j.reason()});
      text += CsvLine(cells);
    }
    if (!text.empty()) failure = sink(text);
    return failure.ok();
  }));
  COPPICE_RETURN_IF_ERROR(failure);
  if (begun) return absl::OkStatus();
  COPPICE_ASSIGN_OR_RETURN(const std::vector<std::string> axes,
                           AxisNamesOfSweep(client, filter.sweep()));
  return sink(header(axes));
}

absl::Status WriteToFile(const OutputName& name,
                         const std::function<absl::Status(const Sink&)>& write) {
  COPPICE_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Open(name.path, ExistingOf(name)));
  COPPICE_RETURN_IF_ERROR(write([&](absl::string_view text) { return file.Append(text); }));
  return file.Commit();
}

absl::Status WriteTo(const OutputName& name, std::ostream& out,
                     const std::function<absl::Status(const Sink&)>& write) {
  if (!name.standard_output()) return WriteToFile(name, write);
  COPPICE_RETURN_IF_ERROR(write([&](absl::string_view text) {
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    return out.good() ? absl::OkStatus() : FlushOutput(out);
  }));
  return FlushOutput(out);
}

}  // namespace coppice::cli
