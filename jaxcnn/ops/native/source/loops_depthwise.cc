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

// A row of outputs and what it reads; taps are `apart` inputs from each other.
struct Row {
  const float* const* x;
  const float* const* w;
  int64_t rows, taps, first, apart, size, x_step;
  float* y;
  int64_t y_step, channels;
};

// Outputs j to j + T, N vectors of channels each.
template <int bytes, int T, int N, bool inside>
inline void depthwise_tile(const Row& row, int64_t j, int64_t c) {
  constexpr int64_t lanes = bytes / 4;
  Vector<bytes> sum[T][N] = {};
  const int64_t channels = row.channels, step = row.x_step * channels;
  const int64_t start = j * row.x_step + row.first, apart = row.apart * channels;
  for (int64_t r = 0; r < row.rows; ++r) {
    const float* from = row.x[r] + start * channels + c;
    const float* weights = row.w[r] + c;
    for (int64_t k = 0; k < row.taps; ++k, from += apart, weights += channels) {
      if constexpr (!inside) {
        const int64_t place = start + k * row.apart;
        if (place < 0 || place >= row.size) continue;
      }
      Vector<bytes> weight[N];
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) weight[n] = load<bytes>(weights + n * lanes);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) {
          sum[t][n] += load<bytes>(from + t * step + n * lanes) * weight[n];
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) {
      store<bytes>(row.y + (j + t) * row.y_step * channels + c + n * lanes, sum[t][n]);
    }
  }
}

// All channels of T outputs: the widest vectors first, then narrower ones for the rest.
template <int bytes, int T, int N, bool inside>
inline void depthwise_channels(const Row& row, int64_t j, int64_t c = 0) {
  for (; c + N * bytes / 4 <= row.channels; c += N * bytes / 4) {
    depthwise_tile<bytes, T, N, inside>(row, j, c);
  }
  if (c == row.channels) return;
  if constexpr (N > 1) {
    depthwise_channels<bytes, T, N / 2, inside>(row, j, c);
  } else if constexpr (bytes > 4) {
    depthwise_channels<bytes == 16 ? 4 : bytes / 2, T, 1, inside>(row, j, c);
  }
}

void depthwise(const float* const* x, const float* const* w, int64_t rows, int64_t taps,
               const int64_t* at, int64_t size, int64_t x_step, float* y, int64_t y_step,
               int64_t count, int64_t channels) {
  const Inside inside(taps, at, size, x_step, count);
  const Row row{x, w, rows, taps, at[0], taps > 1 ? at[1] - at[0] : 0, size, x_step, y, y_step,
                channels};
  int64_t j = 0;
  for (; j < inside.from; ++j) depthwise_channels<kBytes, 1, 4, false>(row, j);
  for (; j + 6 <= inside.to; j += 6) depthwise_channels<kBytes, 6, 2, true>(row, j);
  for (; j + 4 <= inside.to; j += 4) depthwise_channels<kBytes, 4, 2, true>(row, j);
  for (; j < inside.to; ++j) depthwise_channels<kBytes, 1, 4, true>(row, j);
  for (; j < count; ++j) depthwise_channels<kBytes, 1, 4, false>(row, j);
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
