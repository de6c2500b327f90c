#include "instruction_set.h"

#include <cstdlib>
#include <cstring>

namespace {

struct InstructionSet {
  const char* name;
  const DenseLoops* dense;
  const NarrowLoops* narrow;
  const DepthwiseLoops* depthwise;
  const WinogradLoops* winograd;
};

#define JAXCNN_LOOPS_OF(set) \
  InstructionSet {                                                           \
    #set, dense_loops_##set(), narrow_loops_##set(), depthwise_loops_##set(), \
        winograd_loops_##set()                                               \
  }

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
    return JAXCNN_LOOPS_OF(avx512);
  }
  if (avx2 && !below_avx2) return JAXCNN_LOOPS_OF(avx2);
#endif
  return JAXCNN_LOOPS_OF(baseline);
}

const InstructionSet& chosen() {
  static const InstructionSet once = choose();
  return once;
}

}  // namespace

const DenseLoops& dense_loops() { return *chosen().dense; }
const NarrowLoops& narrow_loops() { return *chosen().narrow; }
const DepthwiseLoops& depthwise_loops() { return *chosen().depthwise; }
const WinogradLoops& winograd_loops() { return *chosen().winograd; }

extern "C" __attribute__((visibility("default"))) const char* jaxcnn_native_instruction_set() {
  return chosen().name;
}
