#include "coordinator/core/writer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/logging.h"

namespace coppice::core {
namespace {

constexpr absl::Duration kSayAgain = absl::Minutes(1);

}  // namespace

Writer::Writer(Store* store, Clock* clock, Memory* memory, Hooks hooks)
    : store_(*store),
      clock_(*clock),
      memory_(*memory),
      hooks_(std::move(hooks)),
      replies_(1, memory->options.runner),
      turns_(1, memory->options.runner) {}

// The first turn grants the recovered jobs.
void Writer::Start() { Wake(); }

Writer::~Writer() { Shutdown(); }

absl::Status Writer::Submit(Command command) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return absl::UnavailableError("the coordinator is shutting down");
  const CoordinatorOptions& limits = memory_.options;
  // A command larger than the bound still runs when nothing else waits.
  const bool too_large =
      open_.commands > 0 && open_.bytes + command.bytes > limits.max_queued_bytes;
  if (!command.goes_on && (open_.commands >= limits.max_queued_commands || too_large)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the coordinator is overloaded: ", open_.commands, " commands of ",
                     open_.bytes, " bytes wait; try again later"));
  }
  ++open_.commands;
  open_.bytes += command.bytes;
  command.counted = true;
  (command.bulk ? bulk_ : queue_).push_back(std::move(command));
  AskForTurn();
  return absl::OkStatus();
}

void Writer::GiveBack(const Taken& taken) {
  absl::MutexLock lock(&mutex_);
  open_.commands -= taken.commands;
  open_.bytes -= taken.bytes;
}

void Writer::Wake() {
  absl::MutexLock lock(&mutex_);
  woken_ = true;
  AskForTurn();
}

void Writer::AskForTurn() {
  if (turn_asked_) return;
  turn_asked_ = turns_.Add([this] { TakeTurns(); });
}

void Writer::EndTurns() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  turns_.Shutdown();
}

void Writer::Shutdown() {
  EndTurns();
  replies_.Shutdown();
}

void Writer::Reply(std::function<void()> reply) {
  if (!replies_.Add(reply)) reply();
}

std::deque<Command> Writer::TakeBatch() {
  absl::MutexLock lock(&mutex_);
  woken_ = false;
  std::deque<Command> batch;
  while (!queue_.empty() && batch.size() < kMaxBatch) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  if (!bulk_.empty()) {
    batch.push_back(std::move(bulk_.front()));
    bulk_.pop_front();
  }
  return batch;
}

bool Writer::IsDone() {
  absl::MutexLock lock(&mutex_);
  turn_asked_ = woken_ || !queue_.empty() || !bulk_.empty();
  return !turn_asked_;
}

Writer::Turn Writer::BeginTurn(const std::deque<Command>& batch) {
  Turn turn;
  turn.others = static_cast<size_t>(std::count_if(
      batch.begin(), batch.end(), [](const Command& command) { return !command.ahead; }));
  // The commands that a full batch left behind are in this one.
  const bool full = batch.size() >= kMaxBatch;
  turn.behind = std::exchange(was_full_, full) || full;
  absl::MutexLock lock(&mutex_);
  turn.backlog = queue_.size() >= kMaxBatch;
  return turn;
}

void Writer::TakeTurns() {
  do {
    std::deque<Command> batch = TakeBatch();
    Turn turn = BeginTurn(batch);
    // A failing store would fail the same work again at once, so it is retried in a later turn.
    for (auto due = hooks_.own_commands(turn); !due.empty() && RunBatch(std::move(due));
         due = hooks_.own_commands(turn)) {
      turn.point = Turn::kDue;
    }
    bool added = !batch.empty() && RunCommands(std::move(batch), turn);
    // One batch a turn, so that records get their turn between any number of requests for work.
    turn.point = Turn::kLast;
    if (auto last = hooks_.own_commands(turn); !last.empty()) {
      added = true;
      RunBatch(std::move(last));
    }
    if (added) {  // there may be more
      absl::MutexLock lock(&mutex_);
      woken_ = true;
    }
  } while (!IsDone());
}

bool Writer::RunCommands(std::deque<Command> batch, Turn turn) {
  std::vector<Command> ahead, rest;
  for (Command& command : batch) (command.ahead ? ahead : rest).push_back(std::move(command));
  std::vector<Command> commands;
  if (!ahead.empty()) {
    RunBatch(std::move(ahead));
    turn.point = Turn::kAhead;
    // These come first: they were planned from committed state.
    commands = hooks_.own_commands(turn);
  }
  const bool added = !commands.empty();
  commands.insert(commands.end(), std::make_move_iterator(rest.begin()),
                  std::make_move_iterator(rest.end()));
  if (!commands.empty()) RunBatch(std::move(commands));
  return added;
}

bool Writer::RunBatch(std::vector<Command> commands) {
  const int64_t now_ms = clock_.NowMillis();
  const absl::Duration now = clock_.Monotonic();
  std::vector<absl::Status> results(commands.size());
  Effects effects;
  const absl::Status committed = store_.RunInTransaction([&](WriteTransaction& store) {
    for (size_t i = 0; i < commands.size(); ++i) {
      Effects own;
      CommandContext tx(&store, &memory_, &own, now_ms, now);
      results[i] = store.Savepoint([&] { return commands[i].run(tx); });
      if (results[i].ok()) effects.Append(std::move(own));
    }
    return absl::OkStatus();
  });
  NoteStore(committed, effects, now);
  if (committed.ok()) {
    for (MemoryChange& change : effects.memory) Apply(memory_, std::move(change));
    for (const LogLine& line : effects.log) {
      spdlog::log(line.level == LogLine::kError ? spdlog::level::err : spdlog::level::info, "{}",
                  line.text);
    }
    hooks_.committed(effects);
  }
  auto answers = std::make_shared<std::vector<std::function<void()>>>();
  Taken taken;
  for (size_t i = 0; i < commands.size(); ++i) {
    if (commands[i].counted) {
      ++taken.commands;
      taken.bytes += commands[i].bytes;
    }
    if (!commands[i].finish) continue;
    // A result of a lost batch may depend on other commands' lost writes, so all commands get the
    // batch's error.
    answers->push_back([finish = std::move(commands[i].finish),
                        status = committed.ok() ? results[i] : committed] { finish(status); });
  }
  commands.clear();  // memory is released before it is given back to the bounds
  if (!answers->empty() || taken.commands > 0) {
    Reply([this, answers, taken] {
      // An answer may lead to the caller's next command, which needs the room.
      GiveBack(taken);
      for (const auto& answer : *answers) answer();
      answers->clear();
    });
  }
  bool all = committed.ok();
  for (const absl::Status& result : results) all = all && result.ok();
  return all;
}

void Writer::NoteStore(const absl::Status& committed, const Effects& effects, absl::Duration now) {
  if (committed.ok() == memory_.store_trouble.empty()) return;
  if (!committed.ok()) {
    std::string trouble =
        absl::IsResourceExhausted(committed)
            ? absl::StrCat("the disk of its database is full (", committed.message(),
                           "); free some space")
            : absl::StrCat("its database cannot be written (", committed.message(),
                           "); check the disk under --data-dir");
    Apply(memory_, StoreTroubled{trouble});
    // A small change may still fit between two large ones that do not.
    if (said_trouble_at_.has_value() && now - *said_trouble_at_ < kSayAgain) return;
    said_trouble_at_ = now;
    spdlog::error(
        "{}. Nothing is lost: workers keep what they have to report and try again, but until then "
        "no job starts or ends",
        trouble);
    return;
  }
  // A change without effects, such as a heartbeat, commits even on a full disk and proves nothing.
  if (!effects.changed.empty() || !effects.logged.empty()) Apply(memory_, StoreTroubled{""});
}

}  // namespace coppice::core
