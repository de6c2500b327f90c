// Rows of depthwise convolutions and of their kernel gradients.
#include "loops.h"
#include "vectors.h"

namespace {

// The outputs whose taps all lie inside the row.
struct Inside {
  int64_t from, to;
  Inside(int64_t taps, const int64_t* at, int64_t size, int64_t step, int64_t count) {
    int64_t low = at[0], high = at[0];
    for (int64_t k = 1; k < taps; ++k) {
      low = least(low, at[k]);
      high = most(high, at[k]);
    }
    from = least(count, low < 0 ? (step - 1 - low) / step : 0);
    to = size - 1 - high < 0 ? 0 : (size - 1 - high) / step + 1;
    to = most(from, least(count, to));
  }
};

// Rows of outputs and what they read; taps are `apart` inputs from each other.
struct Rows {
  const float* const* x;
  const float* const* w[2];
  int64_t rows, taps, first, apart, size, x_step;
  float* y[2];
  int64_t y_step, channels;
};

// Outputs j to j + T of R rows, N vectors of channels each; row r of the inputs adds to the R rows
// of outputs from `from`.
template <int bytes, int T, int N, int R, bool inside>
inline void depthwise_taps(const Rows& all, int64_t r, int from, int64_t j, int64_t c,
                           Vector<bytes> (*sum)[T][N]) {
  constexpr int64_t lanes = bytes / 4;
  const int64_t channels = all.channels, step = all.x_step * channels;
  const int64_t start = j * all.x_step + all.first, apart = all.apart * channels;
  const float* x = all.x[r] + start * channels + c;
  const float* weights[R];
#pragma GCC unroll 2
  for (int i = 0; i < R; ++i) weights[i] = all.w[from + i][r] + c;
  for (int64_t k = 0; k < all.taps; ++k, x += apart) {
    if constexpr (!inside) {
      const int64_t place = start + k * all.apart;
      if (place < 0 || place >= all.size) continue;
    }
    Vector<bytes> weight[R][N];
#pragma GCC unroll 2
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) {
        weight[i][n] = load<bytes>(weights[i] + k * channels + n * lanes);
      }
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) {
        Vector<bytes> value = load<bytes>(x + t * step + n * lanes);
        if constexpr (R == 2 && bytes == kBytes) hold(value);
#pragma GCC unroll 2
        for (int i = 0; i < R; ++i) sum[i][t][n] += value * weight[i][n];
      }
    }
  }
}

template <int bytes, int T, int N, int R, bool inside>
inline void depthwise_tile(const Rows& all, int64_t j, int64_t c) {
  Vector<bytes> sum[R][T][N] = {};
  for (int64_t r = 0; r < all.rows; ++r) {
    if constexpr (R == 1) {
      depthwise_taps<bytes, T, N, 1, inside>(all, r, 0, j, c, sum);
    } else if (!all.w[1][r]) {
      depthwise_taps<bytes, T, N, 1, inside>(all, r, 0, j, c, sum);
    } else if (!all.w[0][r]) {
      depthwise_taps<bytes, T, N, 1, inside>(all, r, 1, j, c, sum + 1);
    } else {
      depthwise_taps<bytes, T, N, 2, inside>(all, r, 0, j, c, sum);
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) {
        store<bytes>(all.y[i] + (j + t) * all.y_step * all.channels + c + n * (bytes / 4),
                     sum[i][t][n]);
      }
    }
  }
}

// All channels of T outputs: the widest vectors first, then narrower ones for the rest.
template <int bytes, int T, int N, int R, bool inside>
inline void depthwise_channels(const Rows& all, int64_t j, int64_t c = 0) {
  for (; c + N * bytes / 4 <= all.channels; c += N * bytes / 4) {
    depthwise_tile<bytes, T, N, R, inside>(all, j, c);
  }
  if (c == all.channels) return;
  if constexpr (N > 1) {
    depthwise_channels<bytes, T, N / 2, R, inside>(all, j, c);
  } else if constexpr (bytes > 4) {
    depthwise_channels<bytes == 16 ? 4 : bytes / 2, T, 1, R, inside>(all, j, c);
  }
}

template <int R>
void depthwise_outputs(const Rows& all, const Inside& inside, int64_t count) {
  // R·T·N accumulators, R·N vectors of weights and one of inputs fill the registers.
#if BYTES == 64 || defined(__aarch64__)
  constexpr int N = 2;
#else
  constexpr int N = R == 1 ? 2 : 1;
#endif
  int64_t j = 0;
  for (; j < inside.from; ++j) depthwise_channels<kBytes, 1, 4, R, false>(all, j);
  for (; j + 6 <= inside.to; j += 6) depthwise_channels<kBytes, 6, N, R, true>(all, j);
  for (; j + 4 <= inside.to; j += 4) depthwise_channels<kBytes, 4, N, R, true>(all, j);
  for (; j < inside.to; ++j) depthwise_channels<kBytes, 1, 4, R, true>(all, j);
  for (; j < count; ++j) depthwise_channels<kBytes, 1, 4, R, false>(all, j);
}

void depthwise(const float* const* x, const float* const* w, const float* const* w_next,
               int64_t rows, int64_t taps, const int64_t* at, int64_t size, int64_t x_step,
               float* y, float* y_next, int64_t y_step, int64_t count, int64_t channels) {
  const Inside inside(taps, at, size, x_step, count);
  const Rows all{x, {w, w_next}, rows, taps, at[0], taps > 1 ? at[1] - at[0] : 0, size, x_step,
                 {y, y_next}, y_step, channels};
  if (y_next) {
    depthwise_outputs<2>(all, inside, count);
  } else {
    depthwise_outputs<1>(all, inside, count);
  }
}

// The kernel gradient.

template <int bytes, int K, int N>
inline void depthwise_sums(const float* x, const float* y, float* sums, const int64_t* at,
                           int64_t x_step, int64_t from, int64_t to, int64_t channels, int64_t c) {
  constexpr int64_t lanes = bytes / 4;
  Vector<bytes> sum[K][N] = {};
  const float* under[K];
#pragma GCC unroll 16
  for (int k = 0; k < K; ++k) under[k] = x + (from * x_step + at[k]) * channels + c;
  const float* cotangents = y + from * channels + c;
  int64_t moved = 0;
  for (int64_t j = from; j < to; ++j) {
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) {
      const Vector<bytes> cotangent = load<bytes>(cotangents + n * lanes);
#pragma GCC unroll 16
      for (int k = 0; k < K; ++k) {
        sum[k][n] += load<bytes>(under[k] + moved + n * lanes) * cotangent;
      }
    }
    cotangents += channels;
    moved += x_step * channels;
  }
#pragma GCC unroll 16
  for (int k = 0; k < K; ++k) {
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) {
      float* to_add = sums + k * channels + c + n * lanes;
      store<bytes>(to_add, load<bytes>(to_add) + sum[k][n]);
    }
  }
}

template <int bytes, int K, int N>
inline void depthwise_sums_channels(int64_t c, const float* x, const float* y, float* sums,
                                    const int64_t* at, int64_t x_step, int64_t from, int64_t to,
                                    int64_t channels) {
  constexpr int64_t lanes = bytes / 4;
  for (; c + N * lanes <= channels; c += N * lanes) {
    depthwise_sums<bytes, K, N>(x, y, sums, at, x_step, from, to, channels, c);
  }
  if (c == channels) return;
  if constexpr (N > 1) {
    depthwise_sums_channels<bytes, K, 1>(c, x, y, sums, at, x_step, from, to, channels);
  } else if constexpr (bytes > 4) {
    depthwise_sums_channels<bytes == 16 ? 4 : bytes / 2, K, 1>(c, x, y, sums, at, x_step, from, to,
                                                               channels);
  }
}

template <int K>
void depthwise_sums_taps(int64_t taps, const float* x, const float* y, float* sums,
                         const int64_t* at, int64_t x_step, int64_t from, int64_t to,
                         int64_t channels) {
  if constexpr (K > 0) {
    if (taps == K) {
      depthwise_sums_channels<kBytes, K, (K > 4 ? 2 : K > 2 ? 3 : 4)>(0, x, y, sums, at, x_step,
                                                                     from, to, channels);
    } else {
      depthwise_sums_taps<K - 1>(taps, x, y, sums, at, x_step, from, to, channels);
    }
  }
}

void depthwise_kernel(const float* x, const float* y, float* sums, int64_t taps,
                      const int64_t* at, int64_t size, int64_t x_step, int64_t count,
                      int64_t channels) {
  constexpr int64_t K = 6;
  const Inside inside(taps, at, size, x_step, count);
  const int64_t parts = (taps + K - 1) / K;
  for (int64_t part = 0; part < parts && inside.from < inside.to; ++part) {
    const int64_t k = taps * part / parts, end = taps * (part + 1) / parts;
    depthwise_sums_taps<K>(end - k, x, y, sums + k * channels, at + k, x_step, inside.from,
                           inside.to, channels);
  }
  for (int64_t j = 0; j < count; ++j) {
    if (j == inside.from) j = inside.to;
    if (j == count) break;
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t place = j * x_step + at[k];
      if (place < 0 || place >= size) continue;
      const float* from = x + place * channels;
      for (int64_t c = 0; c < channels; ++c) {
        sums[k * channels + c] += from[c] * y[j * channels + c];
      }
    }
  }
}

const DepthwiseLoops kLoops = {depthwise, depthwise_kernel};

}  // namespace

extern "C" const DepthwiseLoops* JAXCNN_JOIN(depthwise_loops_, NAME)() { return &kLoops; }
