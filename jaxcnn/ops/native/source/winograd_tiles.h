// The tiles of images, and their values at the points, for Winograd's method.
#pragma once
#include <algorithm>

#include "dense_plan.h"
#include "geometry.h"
#include "instruction_set.h"
#include "threads.h"

constexpr int64_t kTile = 4, kWindow = 6, kPoints = kWindow * kWindow;
// Between the values of one point and those of the next, so that one place of all points does not
// fall on a few lines of the cache.
constexpr int64_t kApart = 16;

// The tiles that cover an axis of `size` outputs. The outputs of a tile are as far apart as the
// taps, so that with a dilation tiles lie within each other.
struct TiledAxis {
  int64_t size, apart, count;

  TiledAxis(int64_t size, int64_t apart)
      : size(size), apart(apart), count(((size + apart - 1) / apart + kTile - 1) / kTile * apart) {}

  int64_t first_output(int64_t tile) const { return tile / apart * apart * kTile + tile % apart; }
};

// Images and the tiles that cover their last two axes. A tile is one through all frames, which are
// the positions along the first axis.
template <typename Value>
struct Tiles {
  Value* images;
  const int64_t (&sizes)[3];
  int64_t features;
  const TiledAxis &rows, &columns;

  // Finds a channel of the size×size pixels of a tile in a frame, from (low_h, low_w) relative to
  // its first output; `outside` stands for those beyond the image.
  void find(int64_t tile, int64_t frame, int64_t channel, int64_t size, int64_t low_h,
            int64_t low_w, Value* outside, Value** pixels) const {
    const int64_t n = tile / (rows.count * columns.count);
    const int64_t first_h = rows.first_output(tile / columns.count % rows.count) + low_h;
    const int64_t first_w = columns.first_output(tile % columns.count) + low_w;
    for (int64_t i = 0, h = first_h; i < size; ++i, h += rows.apart) {
      Value* row = images + ((n * sizes[0] + frame) * sizes[1] + h) * sizes[2] * features;
      const bool inside = h >= 0 && h < sizes[1];
      for (int64_t j = 0, w = first_w; j < size; ++j, w += columns.apart) {
        *pixels++ = inside && w >= 0 && w < sizes[2] ? row + w * features + channel : outside;
      }
    }
  }
};

// The values at the points of some tiles: [point][frame][tile][channel].
struct Points {
  float* values;
  int64_t tiles, channels, step;

  // In scratch memory of the thread.
  Points(int which, int64_t frames, int64_t tiles, int64_t channels)
      : tiles(tiles), channels(channels), step(frames * tiles * channels + kApart) {
    values = scratch(which, kPoints * step);
  }
  float* at(int64_t point, int64_t frame, int64_t tile = 0) const {
    return values + point * step + (frame * tiles + tile) * channels;
  }
};

// The channels of a group of images, from and to which it is mapped, and the taps along each axis.
struct Mapped {
  const Map map;
  const Phase &depth, &height, &width;
  int64_t from, to;
  std::vector<Block> columns;
  TiledAxis tile_rows, tile_columns;
  int64_t tiles;

  Mapped(const Convolution& c, bool input_gradient)
      : map(c, input_gradient),
        depth(map.phases[0][0]),
        height(map.phases[1][0]),
        width(map.phases[2][0]),
        from(input_gradient ? c.outputs : c.inputs),
        to(input_gradient ? c.inputs : c.outputs),
        columns(blocks(to)),
        tile_rows(map.to[1], c.axes[1].dilation),
        tile_columns(map.to[2], c.axes[2].dilation),
        tiles(c.batch * tile_rows.count * tile_columns.count) {}

  int64_t depth_taps() const { return depth.taps.size(); }
  // Rows of the matrix of weights at a point.
  int64_t rows() const { return depth_taps() * from; }

  // Transforms a group of the inputs of tiles, which reads `zeros` outside of the images.
  Points transform(const float* images, int64_t groups, int64_t group, int64_t first,
                   int64_t count, const float* zeros) const {
    const Tiles<const float> read{images, map.from, groups * from, tile_rows, tile_columns};
    const Points points(0, map.from[0], count, from);
    const float* pixels[kPoints];
    for (int64_t frame = 0; frame < map.from[0]; ++frame) {
      for (int64_t t = 0; t < count; ++t) {
        read.find(first + t, frame, group * from, kWindow, height.offsets[0], width.offsets[0],
                  zeros, pixels);
        winograd_loops().inputs(pixels, from, points.at(0, frame, t), points.step);
      }
    }
    return points;
  }

  // Number of tiles at a time, of all: few enough for the second-level cache to keep their values
  // at the points, and enough for the products to use each weight more than a few times.
  int64_t tiles_at_a_time(int64_t span, int64_t threads) const {
    const int64_t of_tile = kPoints * (map.from[0] * from + map.to[0] * span);
    const int64_t most = std::max((int64_t{1} << 18) / of_tile, 64 / map.to[0]);
    return std::max<int64_t>(1, std::min(most, (tiles + threads - 1) / threads));
  }
};

inline Ints multiples(int64_t count, int64_t of) {
  Ints made(count);
  for (int64_t i = 0; i < count; ++i) made[i] = i * of;
  return made;
}
