// Register tiles of the dense convolutions and of their kernel gradients.
#include "loops.h"
#include "vectors.h"

namespace {

constexpr int kRows = kBytes == 64 ? 12 : 6;

template <int M, int N>
void dense_tile(const float* x, const int64_t* reads, const int64_t* writes,
                const int64_t* offsets, int64_t depth, const float* weights, float* y,
                int64_t features) {
  const float* pixel[M];
  Vector<kBytes> sum[M][N] = {};
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) pixel[m] = x + reads[m];
  for (int64_t k = 0; k < depth; ++k, weights += N * kLanes) {
    const int64_t offset = offsets[k];
    Vector<kBytes> weight[N];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) weight[n] = load<kBytes>(weights + n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const float value = pixel[m][offset];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) sum[m][n] += value * weight[n];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    float* to = y + writes[m];
    if (features == N * kLanes) {
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) store<kBytes>(to + n * kLanes, sum[m][n]);
    } else {
      float whole[N * kLanes];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) store<kBytes>(whole + n * kLanes, sum[m][n]);
      for (int64_t f = 0; f < features; ++f) to[f] = whole[f];
    }
  }
}

// Runs a tile of as many rows as are left, which the compiler must know: M, or one of less.
template <int M, int N>
void dense_rest(int64_t left, const float* x, const int64_t* reads, const int64_t* writes,
                const int64_t* offsets, int64_t depth, const float* weights, float* y,
                int64_t features) {
  if constexpr (M > 0) {
    if (left == M) {
      dense_tile<M, N>(x, reads, writes, offsets, depth, weights, y, features);
    } else {
      dense_rest<M - 1, N>(left, x, reads, writes, offsets, depth, weights, y, features);
    }
  }
}

template <int M, int N>
void dense_block(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
                 const int64_t* offsets, int64_t depth, const float* weights, float* y,
                 int64_t features) {
  for (int64_t p = 0; p < pixels; p += M) {
    dense_rest<M, N>(least(M, pixels - p), x, reads + p, writes + p, offsets, depth, weights, y,
                     features);
  }
}

void dense(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
           const int64_t* offsets, int64_t depth, const float* weights, int64_t vectors, float* y,
           int64_t features) {
  if (vectors == 2) {
    dense_block<kRows, 2>(x, reads, writes, pixels, offsets, depth, weights, y, features);
  } else {
    dense_block<kRows, 1>(x, reads, writes, pixels, offsets, depth, weights, y, features);
  }
}

// The kernel gradient.

template <int M, int N>
void kernel_tile(const float* x, const int64_t* reads, int64_t pixels, const int64_t* offsets,
                 const float* y, float* sums) {
  int64_t offset[M];
  Vector<kBytes> sum[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    offset[m] = offsets[m];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) sum[m][n] = load<kBytes>(sums + (m * N + n) * kLanes);
  }
  for (int64_t p = 0; p < pixels; ++p, y += N * kLanes) {
    const float* pixel = x + reads[p];
    Vector<kBytes> cotangent[N];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) cotangent[n] = load<kBytes>(y + n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const float value = pixel[offset[m]];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) sum[m][n] += value * cotangent[n];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) store<kBytes>(sums + (m * N + n) * kLanes, sum[m][n]);
  }
}

template <int M, int N>
void kernel_rest(int64_t left, const float* x, const int64_t* reads, int64_t pixels,
                 const int64_t* offsets, const float* y, float* sums) {
  if constexpr (M > 0) {
    if (left == M) {
      kernel_tile<M, N>(x, reads, pixels, offsets, y, sums);
    } else {
      kernel_rest<M - 1, N>(left, x, reads, pixels, offsets, y, sums);
    }
  }
}

void dense_kernel(const float* x, const int64_t* reads, int64_t pixels, const int64_t* offsets,
                  int64_t depth, const float* y, int64_t vectors, float* sums) {
  for (int64_t k = 0; k < depth; k += kRows) {
    const int64_t left = least(kRows, depth - k);
    float* to = sums + k * vectors * kLanes;
    if (vectors == 2) {
      kernel_rest<kRows, 2>(left, x, reads, pixels, offsets + k, y, to);
    } else {
      kernel_rest<kRows, 1>(left, x, reads, pixels, offsets + k, y, to);
    }
  }
}

const DenseLoops kLoops = {kLanes, kRows, dense, dense_kernel};

}  // namespace

extern "C" const DenseLoops* JAXCNN_JOIN(dense_loops_, NAME)() { return &kLoops; }
