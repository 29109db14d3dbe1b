// Limits that more than one layer or program keeps. A limit that one file alone keeps stands there.
#ifndef COPPICE_COMMON_BASE_LIMITS_H_
#define COPPICE_COMMON_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace coppice {

// Jobs of one sweep. The spec's validation and the coordinator's core refuse more.
inline constexpr uint64_t kMaxJobsPerSweep = 5'000'000;
// Points of one sweep: places on all axes but seed.
inline constexpr uint64_t kMaxPointsPerSweep = 20'000;

// Jobs of one pack.
inline constexpr uint32_t kMaxPackWidth = 1024;
// The width with which a plan counts packs when the client names none.
inline constexpr uint32_t kDefaultPackWidth = 10;

// Slots of one worker.
inline constexpr uint32_t kMaxSlots = 1024;

// Entries in a page of jobs or rows.
inline constexpr uint32_t kMaxPageSize = 10'000;

// Bytes of a name. A sweep's name is also a folder's.
inline constexpr size_t kMaxSweepNameBytes = 100;
inline constexpr size_t kMaxMetricNameBytes = 128;
inline constexpr size_t kMaxNameBytes = 200;  // of a worker, an id, a version

// Bytes of a reason or message that the coordinator stores.
inline constexpr size_t kMaxMessageTextBytes = 4096;
// Bytes of the end of a trainer's log that comes with a failure.
inline constexpr size_t kMaxLogTailBytes = 16 << 10;

// A message of the record stream: its records, and its bytes with them.
inline constexpr int kMaxRecordsInMessage = 256;
inline constexpr size_t kMaxRecordMessageBytes = 1 << 20;
// Bytes of one log or provenance record.
inline constexpr size_t kMaxRecordTextBytes = 64 << 10;

}  // namespace coppice

#endif  // COPPICE_COMMON_BASE_LIMITS_H_
