// Register tiles of dense convolutions with few output channels: vectors run along the inputs.
#include "loops.h"
#include "vectors.h"

namespace {

constexpr int kFeatures = 4;
// Number of pixels of a tile of F features: M·F accumulators, F vectors of weights and one of
// inputs fill the registers, of which there are 32 or 16.
#if BYTES == 64 || defined(__aarch64__)
constexpr int kPixels[kFeatures + 1] = {0, 8, 8, 8, 6};
#else
constexpr int kPixels[kFeatures + 1] = {0, 6, 4, 4, 2};
#endif

// Sum of the values of a vector, always in the same order.
template <int bytes>
inline float horizontal_sum(Vector<bytes> values) {
  float stored[bytes / 4];
  store<bytes>(stored, values);
  if constexpr (bytes > 16) {
    return horizontal_sum<bytes / 2>(load<bytes / 2>(stored) + load<bytes / 2>(stored + bytes / 8));
  } else {
    return (stored[0] + stored[1]) + (stored[2] + stored[3]);
  }
}

template <int M, int F>
void narrow_tile(const float* x, const int64_t* reads, const int64_t* writes,
                 const int64_t* starts, int64_t runs, int64_t length, const float* weights,
                 float* y) {
  const int64_t depth = runs * length, whole = length / kLanes * kLanes;
  Vector<kBytes> sum[M][F] = {};
  float rest[M][F] = {};
  const float* pixel[M];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) pixel[m] = x + reads[m];
  for (int64_t run = 0; run < runs; ++run, weights += length) {
    const int64_t start = starts[run];
    for (int64_t k = 0; k < whole; k += kLanes) {
      Vector<kBytes> weight[F];
#pragma GCC unroll 16
      for (int f = 0; f < F; ++f) weight[f] = load<kBytes>(weights + f * depth + k);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const Vector<kBytes> values = load<kBytes>(pixel[m] + start + k);
#pragma GCC unroll 16
        for (int f = 0; f < F; ++f) sum[m][f] += values * weight[f];
      }
    }
    for (int64_t k = whole; k < length; ++k) {
      for (int m = 0; m < M; ++m) {
        for (int f = 0; f < F; ++f) rest[m][f] += pixel[m][start + k] * weights[f * depth + k];
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
    for (int f = 0; f < F; ++f) y[writes[m] + f] = rest[m][f] + horizontal_sum<kBytes>(sum[m][f]);
  }
}

template <int F>
void forward(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
             const int64_t* starts, int64_t runs, int64_t length, const float* weights, float* y,
             int64_t features) {
  if constexpr (F > 0) {
    if (features != F) {
      forward<F - 1>(x, reads, writes, pixels, starts, runs, length, weights, y, features);
      return;
    }
    constexpr int M = kPixels[F];
    int64_t p = 0;
    for (; p + M <= pixels; p += M) {
      narrow_tile<M, F>(x, reads + p, writes + p, starts, runs, length, weights, y);
    }
    for (; p < pixels; ++p) {
      narrow_tile<1, F>(x, reads + p, writes + p, starts, runs, length, weights, y);
    }
  }
}

const NarrowLoops kLoops = {kFeatures, forward<kFeatures>};

}  // namespace

extern "C" const NarrowLoops* JAXCNN_JOIN(narrow_loops_, NAME)() { return &kLoops; }
