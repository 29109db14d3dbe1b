// The machine that a bench's figures depend on.
#ifndef COPPICE_BENCH_REPORT_MACHINE_H_
#define COPPICE_BENCH_REPORT_MACHINE_H_

#include <string>

namespace coppice::bench {

// "2 cores, AMD EPYC". Figures may be compared only between machines of the same name.
std::string MachineName();
// "2 cores, AMD EPYC, load 0.4; version 0.1.0 (commit abc)".
std::string DescribeMachine();

}  // namespace coppice::bench

#endif  // COPPICE_BENCH_REPORT_MACHINE_H_
