// Winograd's transforms of tiles between values and points (Lavin and Gray, 2016).
//
// Along an axis, four outputs of a kernel of three weights are a polynomial that is known from its
// values at the points 0, ±a, ±b and infinity, for which the products suffice. a = 2/3 and b = 3/2
// keep the rounding error to half of that of the usual 1 and 2.
#include "loops.h"
#include "vectors.h"

namespace {

using Values = Vector<kBytes>;

constexpr float kA = 2.0f / 3, kA2 = 4.0f / 9, kA3 = 8.0f / 27;
constexpr float kB = 3.0f / 2, kB2 = 9.0f / 4, kB3 = 27.0f / 8;
// 1 / (2a²(a² − b²)) and 1 / (2b²(b² − a²)), for the weights.
constexpr float kScaleA = -81.0f / 130, kScaleB = 8.0f / 65;

// Each map along one axis is written for pairs of points, ±a and ±b: an even part plus or minus an
// odd one.
inline void at_pairs(Values even_a, Values odd_a, Values even_b, Values odd_b, Values* y) {
  y[1] = even_a + odd_a;
  y[2] = even_a - odd_a;
  y[3] = even_b + odd_b;
  y[4] = even_b - odd_b;
}

struct Inputs {
  static constexpr int from = 6, to = 6;
  static void apply(const Values* x, Values* y) {
    const Values even_a = x[4] - kB2 * x[2], odd_a = kA * (x[3] - kB2 * x[1]);
    const Values even_b = x[4] - kA2 * x[2], odd_b = kB * (x[3] - kA2 * x[1]);
    y[0] = x[0] + x[4] - (kA2 + kB2) * x[2];
    at_pairs(even_a, odd_a, even_b, odd_b, y);
    y[5] = x[1] + x[5] - (kA2 + kB2) * x[3];
  }
};

struct Weights {
  static constexpr int from = 3, to = 6;
  static void apply(const Values* x, Values* y) {
    const Values even_a = kScaleA * (x[0] + kA2 * x[2]), odd_a = kScaleA * kA * x[1];
    const Values even_b = kScaleB * (x[0] + kB2 * x[2]), odd_b = kScaleB * kB * x[1];
    y[0] = x[0];
    at_pairs(even_a, odd_a, even_b, odd_b, y);
    y[5] = x[2];
  }
};

struct Outputs {
  static constexpr int from = 6, to = 4;
  static void apply(const Values* x, Values* y) {
    const Values sum_a = x[1] + x[2], difference_a = x[1] - x[2];
    const Values sum_b = x[3] + x[4], difference_b = x[3] - x[4];
    y[0] = x[0] + sum_a + sum_b;
    y[1] = kA * difference_a + kB * difference_b;
    y[2] = kA2 * sum_a + kB2 * sum_b;
    y[3] = kA3 * difference_a + kB3 * difference_b + x[5];
  }
};

// The transpose of Outputs.
struct Cotangents {
  static constexpr int from = 4, to = 6;
  static void apply(const Values* x, Values* y) {
    const Values even_a = x[0] + kA2 * x[2], odd_a = kA * x[1] + kA3 * x[3];
    const Values even_b = x[0] + kB2 * x[2], odd_b = kB * x[1] + kB3 * x[3];
    y[0] = x[0];
    at_pairs(even_a, odd_a, even_b, odd_b, y);
    y[5] = x[3];
  }
};

// The transpose of Weights.
struct KernelGradient {
  static constexpr int from = 6, to = 3;
  static void apply(const Values* x, Values* y) {
    const Values sum_a = kScaleA * (x[1] + x[2]), difference_a = kScaleA * (x[1] - x[2]);
    const Values sum_b = kScaleB * (x[3] + x[4]), difference_b = kScaleB * (x[3] - x[4]);
    y[0] = x[0] + sum_a + sum_b;
    y[1] = kA * difference_a + kB * difference_b;
    y[2] = kA2 * sum_a + kB2 * sum_b + x[5];
  }
};

// Applies a map along both axes to `channels` values, at least a vector of them: the last vector
// begins where it ends with them. `read` and `write` take the place in the tile and a channel.
template <typename Map, typename Read, typename Write>
inline void transform(int64_t channels, const Read& read, const Write& write) {
  for (int64_t next = 0; next < channels; next += kLanes) {
    const int64_t c = least(next, channels - kLanes);
    Values half[Map::to][Map::from];
#pragma GCC unroll 6
    for (int j = 0; j < Map::from; ++j) {
      Values x[Map::from], y[Map::to];
#pragma GCC unroll 6
      for (int i = 0; i < Map::from; ++i) x[i] = read(i * Map::from + j, c);
      Map::apply(x, y);
#pragma GCC unroll 6
      for (int i = 0; i < Map::to; ++i) half[i][j] = y[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < Map::to; ++i) {
      Values y[Map::to];
      Map::apply(half[i], y);
#pragma GCC unroll 6
      for (int j = 0; j < Map::to; ++j) write(i * Map::to + j, c, y[j]);
    }
  }
}

template <typename Map>
void to_points(const float* const* pixels, int64_t channels, float* points, int64_t step) {
  transform<Map>(
      channels, [=](int i, int64_t c) { return load<kBytes>(pixels[i] + c); },
      [=](int i, int64_t c, Values value) { store<kBytes>(points + i * step + c, value); });
}

void weights(const float* taps, int64_t taps_step, int64_t count, float* points, int64_t step) {
  transform<Weights>(
      count, [=](int i, int64_t c) { return load<kBytes>(taps + i * taps_step + c); },
      [=](int i, int64_t c, Values value) { store<kBytes>(points + i * step + c, value); });
}

void outputs(const float* points, int64_t step, int64_t features, float* const* pixels) {
  transform<Outputs>(
      features, [=](int i, int64_t c) { return load<kBytes>(points + i * step + c); },
      [=](int i, int64_t c, Values value) {
        if (pixels[i]) store<kBytes>(pixels[i] + c, value);
      });
}

void kernel_gradient(const float* points, int64_t step, int64_t parts, int64_t parts_step,
                     int64_t features, float* taps, int64_t taps_step) {
  transform<KernelGradient>(
      features,
      [=](int i, int64_t c) {
        const float* from = points + i * step + c;
        Values sum = load<kBytes>(from);
        for (int64_t part = 1; part < parts; ++part) sum += load<kBytes>(from + part * parts_step);
        return sum;
      },
      [=](int i, int64_t c, Values value) { store<kBytes>(taps + i * taps_step + c, value); });
}

const WinogradLoops kLoops = {kLanes, to_points<Inputs>, to_points<Cotangents>, weights, outputs,
                              kernel_gradient};

}  // namespace

extern "C" const WinogradLoops* JAXCNN_JOIN(winograd_loops_, NAME)() { return &kLoops; }
