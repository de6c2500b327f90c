// Register tiles of the dense convolutions and of their kernel gradients.
#include "loops.h"
#include "vectors.h"

namespace {

// Number of rows of a tile of N vectors: their accumulators, N vectors of weights and a broadcast
// value fill the registers, of which there are 32 or 16.
#if BYTES == 64 || defined(__aarch64__)
constexpr int kVectors = 4;
constexpr int kRows[kVectors + 1] = {0, 12, 12, 8, 6};
#else
constexpr int kVectors = 2;
constexpr int kRows[kVectors + 1] = {0, 6, 6};
#endif

// Copies fewer values than `bytes` hold.
template <int bytes>
inline void copy_rest(const float* from, int64_t count, float* to) {
  if constexpr (bytes > 16) {
    if (count >= bytes / 8) {
      store<bytes / 2>(to, load<bytes / 2>(from));
      copy_rest<bytes / 2>(from + bytes / 8, count - bytes / 8, to + bytes / 8);
    } else {
      copy_rest<bytes / 2>(from, count, to);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

// N vectors, of which the last need not be whole.
template <int N>
inline void load_features(const float* from, int64_t features, Vector<kBytes>* to) {
#pragma GCC unroll 16
  for (int n = 0; n < N - 1; ++n) to[n] = load<kBytes>(from + n * kLanes);
  from += (N - 1) * kLanes;
  if (features == N * kLanes) {
    to[N - 1] = load<kBytes>(from);
  } else {
    float last[kLanes] = {};
    copy_rest<kBytes>(from, features - (N - 1) * kLanes, last);
    to[N - 1] = load<kBytes>(last);
  }
}

template <int N>
inline void store_features(const Vector<kBytes>* from, int64_t features, float* to) {
#pragma GCC unroll 16
  for (int n = 0; n < N - 1; ++n) store<kBytes>(to + n * kLanes, from[n]);
  to += (N - 1) * kLanes;
  if (features == N * kLanes) {
    store<kBytes>(to, from[N - 1]);
  } else {
    float last[kLanes];
    store<kBytes>(last, from[N - 1]);
    copy_rest<kBytes>(last, features - (N - 1) * kLanes, to);
  }
}

template <int M, int N>
void forward_tile(const float* x, const int64_t* reads, const int64_t* writes,
                  const int64_t* starts, int64_t runs, int64_t length, const float* weights,
                  int64_t step, float* y, int64_t features, bool add) {
  const float* pixel[M];
  Vector<kBytes> sum[M][N] = {};
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) pixel[m] = x + reads[m];
  if (add) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) load_features<N>(y + writes[m], features, sum[m]);
  }
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t end = starts[run] + length;
    for (int64_t k = starts[run]; k < end; ++k, weights += step) {
      Vector<kBytes> weight[N];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) weight[n] = load<kBytes>(weights + n * kLanes);
      if (step != N * kLanes) {
        // Rows of the kernel itself, which the processor does not foresee.
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) __builtin_prefetch(weights + 8 * step + n * kLanes);
      }
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const float value = pixel[m][k];
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) sum[m][n] += value * weight[n];
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) store_features<N>(sum[m], features, y + writes[m]);
}

// The last rows, whose number the compiler must know: M or fewer.
template <int M, int N>
void forward_rest(int64_t left, const float* x, const int64_t* reads, const int64_t* writes,
                  const int64_t* starts, int64_t runs, int64_t length, const float* weights,
                  int64_t step, float* y, int64_t features, bool add) {
  if constexpr (M > 0) {
    if (left == M) {
      forward_tile<M, N>(x, reads, writes, starts, runs, length, weights, step, y, features, add);
    } else {
      forward_rest<M - 1, N>(left, x, reads, writes, starts, runs, length, weights, step, y,
                             features, add);
    }
  }
}

template <int N>
void forward(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
             const int64_t* starts, int64_t runs, int64_t length, const float* weights,
             int64_t step, int64_t vectors, float* y, int64_t features, bool add) {
  if constexpr (N > 0) {
    if (vectors != N) {
      forward<N - 1>(x, reads, writes, pixels, starts, runs, length, weights, step, vectors, y,
                     features, add);
      return;
    }
    // Weights that stay in the first-level cache from one tile of pixels to the next.
    constexpr int M = kRows[N], kept = 32768 / (N * kBytes);
    const int64_t some = most(1, kept / most(1, length));
    int64_t run = 0;
    do {
      const int64_t count = least(some, runs - run);
      for (int64_t p = 0; p < pixels; p += M) {
        forward_rest<M, N>(least(M, pixels - p), x, reads + p, writes + p, starts + run, count,
                           length, weights, step, y, features, add || run > 0);
      }
      weights += count * length * step;
      run += count;
    } while (run < runs);
  }
}

// The kernel gradient. Successive offsets need no register each, which are too few for all.
template <int M, int N, bool successive>
void gradient_tile(const float* x, const int64_t* reads, int64_t pixels, const int64_t* offsets,
                   const float* y, int64_t y_step, float* sums) {
  int64_t offset[M];
  Vector<kBytes> sum[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
    offset[m] = successive ? m : offsets[m] - offsets[0];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) sum[m][n] = load<kBytes>(sums + (m * N + n) * kLanes);
  }
  x += offsets[0];
  for (int64_t p = 0; p < pixels; ++p, y += y_step) {
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

template <int M, int N, bool successive>
void gradient_rest(int64_t left, const float* x, const int64_t* reads, int64_t pixels,
                   const int64_t* offsets, const float* y, int64_t y_step, float* sums) {
  if constexpr (M > 0) {
    if (left == M) {
      gradient_tile<M, N, successive>(x, reads, pixels, offsets, y, y_step, sums);
    } else {
      gradient_rest<M - 1, N, successive>(left, x, reads, pixels, offsets, y, y_step, sums);
    }
  }
}

// Rows `low` to before `high`, in tiles that differ by one row at most.
template <int N, bool successive>
void gradient_rows(int64_t low, int64_t high, const float* x, const int64_t* reads, int64_t pixels,
                   const int64_t* offsets, const float* y, int64_t y_step, float* sums) {
  constexpr int M = kRows[N];
  const int64_t tiles = (high - low + M - 1) / M;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t from = low + (high - low) * tile / tiles;
    const int64_t to = low + (high - low) * (tile + 1) / tiles;
    gradient_rest<M, N, successive>(to - from, x, reads, pixels, offsets + from, y,
                                    y_step, sums + from * N * kLanes);
  }
}

template <int N>
void kernel_gradient(const float* x, const int64_t* reads, int64_t pixels, const int64_t* offsets,
                     int64_t depth, int64_t length, const float* y, int64_t y_step, int64_t vectors,
                     float* sums) {
  if constexpr (N > 0) {
    if (vectors != N) {
      kernel_gradient<N - 1>(x, reads, pixels, offsets, depth, length, y, y_step, vectors,
                             sums);
    } else if (2 * length < kRows[N] && length < depth) {
      gradient_rows<N, false>(0, depth, x, reads, pixels, offsets, y, y_step, sums);
    } else {
      for (int64_t k = 0; k < depth; k += length) {
        gradient_rows<N, true>(k, k + length, x, reads, pixels, offsets, y, y_step, sums);
      }
    }
  }
}

const DenseLoops kLoops = {kLanes, kVectors, forward<kVectors>, kernel_gradient<kVectors>};

}  // namespace

extern "C" const DenseLoops* JAXCNN_JOIN(dense_loops_, NAME)() { return &kLoops; }
