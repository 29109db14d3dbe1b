// What every program of a TSan build assumes unless TSAN_OPTIONS says otherwise; so also one that a
// test starts as a process.
extern "C" const char* __tsan_default_options() {
  // Libraries of the system are not instrumented: what they read and write through memcpy and the
  // like is theirs. A test that forks and then starts threads in the child before exec would
  // otherwise be ended for that alone.
  return "suppressions=" COPPICE_TSAN_SUPPRESSIONS
         ":ignore_noninstrumented_modules=1:die_after_fork=0:second_deadlock_stack=1:exitcode=66";
}
