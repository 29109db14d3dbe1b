// The spool's file. First byte even: the other bytes are the file. Odd: they are a list of frames
// (type, length of two bytes, payload). These get correct lengths and checksums, so that the checks
// of their contents are reached too. With the second bit, the file is one of the version before.
#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz.h"
#include "worker/daemon/attempt_records.h"
#include "worker/daemon/spool.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace coppice::worker {
namespace {

std::string Framed(absl::string_view rest, bool earlier) {
  std::string file = earlier ? "CPSPOOL1" : "CPSPOOL2";
  while (rest.size() >= 3) {
    const size_t length = static_cast<uint8_t>(rest[1]) | static_cast<uint8_t>(rest[2]) << 8;
    const absl::string_view payload = rest.substr(3, length);
    const std::string body = absl::StrCat(rest.substr(0, 1), payload);
    fuzz::PutInteger(static_cast<uint32_t>(body.size()), &file);
    fuzz::PutInteger(static_cast<uint64_t>(XXH3_64bits(body.data(), body.size())), &file);
    file += body;
    rest.remove_prefix(3 + payload.size());
  }
  return absl::StrCat(file, rest);
}

std::vector<std::string> Print(const SpoolContents& contents) {
  std::vector<std::string> printed = {contents.lease.SerializeAsString()};
  for (const v1::AttemptRecord& record : contents.records) {
    printed.push_back(record.SerializeAsString());
  }
  return printed;
}

// The valid beginning alone must give the same contents, without an error.
void CheckBeginning(absl::string_view file, const SpoolContents& contents) {
  const fuzz::MemoryFile beginning(file.substr(0, contents.valid_bytes));
  const auto again = Spool::Read(beginning.path());
  FUZZ_CHECK(again.ok(), again.status().message());
  FUZZ_CHECK(!again->torn && !again->corrupt, "the valid beginning is not valid");
  FUZZ_CHECK(again->valid_bytes == contents.valid_bytes, "");
  FUZZ_CHECK(Print(*again) == Print(contents), "");
}

// A worker that finds the file continues after its valid beginning.
void CheckContinue(const fuzz::MemoryFile& file, const SpoolContents& contents) {
  // Nothing follows an ending, but another ending may replace it.
  const size_t count = contents.records.size();
  const bool ended = count > 0 && IsEnding(contents.records.back());
  v1::AttemptRecord ending;
  *ending.mutable_lease() = contents.lease.lease();
  ending.set_number(ended ? count : count + 1);
  ending.mutable_released()->set_reason("fuzz");
  {
    auto spool = Spool::Continue(file.path(), contents.valid_bytes);
    FUZZ_CHECK(spool.ok(), spool.status().message());
    FUZZ_CHECK((*spool)->Append(ending).ok(), "append");
    FUZZ_CHECK((*spool)->Sync().ok(), "sync");
  }
  const auto again = Spool::Read(file.path());
  FUZZ_CHECK(again.ok(), again.status().message());
  FUZZ_CHECK(!again->torn && !again->corrupt, "");
  std::vector<std::string> expected = Print(contents);
  if (ended) expected.pop_back();
  expected.push_back(ending.SerializeAsString());
  FUZZ_CHECK(Print(*again) == expected, "");
}

}  // namespace
}  // namespace coppice::worker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using coppice::worker::Spool;
  if (size == 0) return 0;
  const absl::string_view rest = coppice::fuzz::Text(data + 1, size - 1);
  const std::string bytes =
      data[0] % 2 == 0 ? std::string(rest) : coppice::worker::Framed(rest, data[0] % 4 == 3);
  const coppice::fuzz::MemoryFile file(bytes);
  const auto contents = Spool::Read(file.path());
  if (!contents.ok()) {
    FUZZ_CHECK(contents.status().code() == absl::StatusCode::kDataLoss,
               contents.status().message());
    return 0;
  }
  FUZZ_CHECK(contents->valid_bytes <= bytes.size(), "");
  for (size_t i = 0; i < contents->records.size(); ++i) {
    FUZZ_CHECK(contents->records[i].number() == i + 1, "a gap");
  }
  if (contents->earlier_version) {
    FUZZ_CHECK(contents->records.empty(), "a record of the version before");
    return 0;
  }
  FUZZ_CHECK((contents->valid_bytes == bytes.size()) == (!contents->torn && !contents->corrupt),
             "");
  FUZZ_CHECK(!(contents->torn && contents->corrupt), "");
  coppice::worker::CheckBeginning(bytes, *contents);
  coppice::worker::CheckContinue(file, *contents);
  return 0;
}
