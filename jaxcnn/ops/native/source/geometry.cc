#include "geometry.h"

#include <algorithm>
#include <cstring>

namespace {

std::vector<Phase> phases(const Axis& axis, bool input_gradient) {
  if (!input_gradient) {
    Phase one{0, 1, axis.out, axis.stride, {}, {}};
    for (int64_t k = 0; k < axis.window; ++k) {
      one.taps.push_back(k);
      one.offsets.push_back(k * axis.dilation - axis.low);
    }
    return {one};
  }
  std::vector<Phase> made;
  for (int64_t r = 0; r < std::min(axis.stride, axis.in); ++r) {
    Phase one{r, axis.stride, (axis.in - r + axis.stride - 1) / axis.stride, 1, {}, {}};
    // Backward, so that the offsets ascend.
    for (int64_t k = axis.window - 1; k >= 0; --k) {
      const int64_t distance = r + axis.low - k * axis.dilation;
      if (distance % axis.stride) continue;
      one.taps.push_back(k);
      one.offsets.push_back(distance / axis.stride);
    }
    made.push_back(one);
  }
  return made;
}

}  // namespace

Convolution::Convolution(Sizes x, Sizes kernel, Sizes y, Sizes strides, Sizes low, Sizes dilation,
                         int64_t groups)
    : batch(x[0]), groups(groups) {
  const size_t rank = strides.size(), missing = 3 - rank;
  inputs = kernel[rank];
  outputs = kernel[rank + 1] / groups;
  for (size_t a = 0; a < 3; ++a) {
    const size_t i = a - missing;
    axes[a] = a < missing ? Axis{1, 1, 1, 1, 0, 1}
                          : Axis{x[i + 1], y[i + 1], kernel[i], strides[i], low[i], dilation[i]};
  }
}

Map::Map(const Convolution& c, bool input_gradient) {
  for (int a = 0; a < 3; ++a) {
    from[a] = input_gradient ? c.axes[a].out : c.axes[a].in;
    to[a] = input_gradient ? c.axes[a].in : c.axes[a].out;
    phases[a] = ::phases(c.axes[a], input_gradient);
  }
}

Padded::Padded(const std::vector<Phase> (&phases)[3], const int64_t (&sizes)[3], int64_t channels)
    : channels(channels) {
  for (int a = 0; a < 3; ++a) {
    int64_t first = 0, last = sizes[a] - 1;
    for (const Phase& phase : phases[a]) {
      for (int64_t offset : phase.offsets) {
        first = std::min(first, offset);
        last = std::max(last, (phase.count - 1) * phase.stride + offset);
      }
    }
    low[a] = -first;
    size[a] = last - first + 1;
    same = same && size[a] == sizes[a];
  }
}

void Padded::copy(const float* image, const int64_t (&sizes)[3], float* into, int64_t first,
                  int64_t last) const {
  const int64_t row = size[2] * channels, filled = sizes[2] * channels, before = low[2] * channels;
  for (int64_t r = first; r < last; ++r) {
    const int64_t d = r / size[1] - low[0], h = r % size[1] - low[1];
    float* at = into + r * row;
    if (d < 0 || d >= sizes[0] || h < 0 || h >= sizes[1]) {
      std::memset(at, 0, row * sizeof(float));
      continue;
    }
    std::memset(at, 0, before * sizeof(float));
    std::memcpy(at + before, image + (d * sizes[1] + h) * filled, filled * sizeof(float));
    std::memset(at + before + filled, 0, (row - before - filled) * sizeof(float));
  }
}
