// Vectors of float32 in GCC's and Clang's vector types, BYTES wide or narrower.
//
// Everything is in an anonymous namespace: the linker would otherwise keep one copy of a function
// for all instruction sets.
#pragma once
#include <cstdint>

namespace {

template <int bytes>
struct Vectors {
  typedef float type __attribute__((vector_size(bytes)));
  typedef float unaligned __attribute__((vector_size(bytes), aligned(4), may_alias));
};
template <int bytes>
using Vector = typename Vectors<bytes>::type;

template <int bytes>
inline Vector<bytes> load(const float* from) {
  return *reinterpret_cast<const typename Vectors<bytes>::unaligned*>(from);
}
template <int bytes>
inline void store(float* to, Vector<bytes> value) {
  *reinterpret_cast<typename Vectors<bytes>::unaligned*>(to) = value;
}

// Makes the compiler hold a value in a register, where it would rather load it once for each use.
template <typename Value>
inline void hold(Value& value) {
#if defined(__AVX512F__)
  asm("" : "+v"(value));
#elif defined(__x86_64__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#endif
}

constexpr int kBytes = BYTES;
constexpr int64_t kLanes = kBytes / 4;

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace
