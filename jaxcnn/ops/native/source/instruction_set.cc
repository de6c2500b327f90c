#include "instruction_set.h"

#include <cstdlib>
#include <cstring>

namespace {

struct InstructionSet {
  const char* name;
  const DenseLoops* dense;
  const DepthwiseLoops* depthwise;
};

InstructionSet choose() {
  // The environment variable JAXCNN_NATIVE_SET lowers the choice, so that tests on one processor
  // reach the loops of every narrower one.
#if defined(__x86_64__)
  const char* wanted = std::getenv("JAXCNN_NATIVE_SET");
  const bool below_avx512 = wanted && std::strcmp(wanted, "avx512") != 0;
  const bool below_avx2 = below_avx512 && std::strcmp(wanted, "avx2") != 0;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && !below_avx512 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512vl")) {
    return {"avx512", dense_loops_avx512(), depthwise_loops_avx512()};
  }
  if (avx2 && !below_avx2) return {"avx2", dense_loops_avx2(), depthwise_loops_avx2()};
#endif
  return {"baseline", dense_loops_baseline(), depthwise_loops_baseline()};
}

const InstructionSet& chosen() {
  static const InstructionSet once = choose();
  return once;
}

}  // namespace

const DenseLoops& dense_loops() { return *chosen().dense; }
const DepthwiseLoops& depthwise_loops() { return *chosen().depthwise; }

extern "C" __attribute__((visibility("default"))) const char* jaxcnn_native_instruction_set() {
  return chosen().name;
}
