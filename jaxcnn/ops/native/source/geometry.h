// The geometry of a convolution, channels last, in one to three dimensions.
//
// Along each axis, output j of a phase is written at start + j·step and reads the inputs
// j·stride + offset, one for each tap of the phase. A convolution is one phase; its input gradient
// is one phase for each remainder of the stride. The same code therefore computes both.
#pragma once
#include <cstdint>
#include <vector>

#include "xla/ffi/api/ffi.h"

using Ints = std::vector<int64_t>;
using Sizes = xla::ffi::Span<const int64_t>;

struct Axis {
  int64_t in, out, window, stride, low, dilation;
};

struct Phase {
  int64_t start, step, count, stride;
  Ints taps, offsets;
};

struct Convolution {
  int64_t batch, groups, inputs, outputs;  // inputs and outputs: channels of a group
  Axis axes[3];                            // missing leading axes have size 1

  // From the shapes (batch, …, channels), (…, inputs, groups·outputs) and (batch, …, features).
  Convolution(Sizes x, Sizes kernel, Sizes y, Sizes strides, Sizes low, Sizes dilation,
              int64_t groups);

  int64_t taps() const { return axes[0].window * axes[1].window * axes[2].window; }
  int64_t in_features() const { return groups * inputs; }
  int64_t features() const { return groups * outputs; }
  bool depthwise() const { return groups > 1 && inputs == 1 && outputs == 1; }
};

// A convolution, or its input gradient, as a map from one image to another.
struct Map {
  int64_t from[3], to[3];         // sizes of the two images
  std::vector<Phase> phases[3];  // along each axis

  Map(const Convolution& c, bool input_gradient);
};

// An image with zeros around it, wide enough for every read of a map.
struct Padded {
  int64_t low[3], size[3], channels;
  bool same = true;  // as the image itself

  Padded(const std::vector<Phase> (&phases)[3], const int64_t (&sizes)[3], int64_t channels);

  int64_t rows() const { return size[0] * size[1]; }
  int64_t values() const { return rows() * size[2] * channels; }
  int64_t at(int64_t d, int64_t h, int64_t w) const {
    return (((d + low[0]) * size[1] + h + low[1]) * size[2] + w + low[2]) * channels;
  }
  // Copies the rows from `first` to before `last`.
  void copy(const float* image, const int64_t (&sizes)[3], float* into, int64_t first,
            int64_t last) const;
};
