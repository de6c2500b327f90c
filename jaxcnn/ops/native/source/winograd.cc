#include "winograd.h"

#include <algorithm>
#include <cstring>

#include "dense_plan.h"
#include "instruction_set.h"
#include "memory.h"

namespace {

using Pool = xla::ffi::ThreadPool;

constexpr int64_t kTile = 4, kWindow = 6, kPoints = kWindow * kWindow;
// Between the values of one point and those of the next, so that one place of all points does not
// fall on a few lines of the cache.
constexpr int64_t kApart = 16;

// The tiles that cover an axis of `size` outputs. The outputs of a tile are as far apart as the taps,
// `apart`; so many tiles lie within each other.
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

Ints multiples(int64_t count, int64_t of) {
  Ints made(count);
  for (int64_t i = 0; i < count; ++i) made[i] = i * of;
  return made;
}

// The transformed weights: [group][block][point][tap along the depth][source][feature].
struct Weights {
  Memory values;
  int64_t group_size = 0;
  Ints starts, steps;  // of each block, and from point to point

  Weights(Pool& pool, const Convolution& c, const Mapped& m, bool input_gradient,
          const float* kernel) {
    const int64_t lanes = dense_loops().lanes;
    for (const Block& block : m.columns) {
      starts.push_back(group_size);
      steps.push_back(m.rows() * block.vectors * lanes + kApart);
      group_size += kPoints * steps.back();
    }
    values = Memory(c.groups * group_size);
    constexpr int64_t some = 16;  // sources at a time: of transposed weights a line of the cache
    const int64_t portions = (m.from + some - 1) / some;
    parallel(pool, c.groups * m.depth_taps() * portions, [&](int64_t item) {
      const int64_t g = item / (m.depth_taps() * portions), a = item / portions % m.depth_taps();
      const int64_t first = item % portions * some, count = std::min(some, m.from - first);
      for (size_t b = 0; b < m.columns.size(); ++b) {
        const Block& block = m.columns[b];
        const int64_t span = block.vectors * lanes, size = some * span;
        float* packed = scratch(0, 9 * size);  // [tap][source][feature]
        std::memset(packed, 0, 9 * size * sizeof(float));
        for (int64_t t = 0; t < 9; ++t) {
          const int64_t tap =
              (m.depth.taps[a] * 3 + m.height.taps[t / 3]) * 3 + m.width.taps[t % 3];
          const float* group = kernel + tap * c.inputs * c.features() + g * c.outputs;
          if (input_gradient) {
            for (int64_t f = 0; f < block.count; ++f) {
              const float* row = group + (block.first + f) * c.features() + first;
              for (int64_t s = 0; s < count; ++s) packed[t * size + s * span + f] = row[s];
            }
          } else {
            for (int64_t s = 0; s < count; ++s) {
              std::memcpy(packed + t * size + s * span,
                          group + (first + s) * c.features() + block.first,
                          block.count * sizeof(float));
            }
          }
        }
        winograd_loops().weights(packed, size, count * span,
                                 values.get() + g * group_size + starts[b] +
                                     (a * m.from + first) * span,
                                 steps[b]);
      }
    });
  }

  const float* at(int64_t group, size_t block, int64_t point) const {
    return values.get() + group * group_size + starts[block] + point * steps[block];
  }
};

}  // namespace

void winograd(Pool& pool, const Convolution& c, bool input_gradient, const float* source,
              const float* kernel, float* target) {
  const Mapped m(c, input_gradient);
  const Weights weights(pool, c, m, input_gradient, kernel);
  const Tiles<float> written{target, m.map.to, c.groups * m.to, m.tile_rows, m.tile_columns};
  const Memory zeros = Memory::zeros(m.from);
  const int64_t lanes = dense_loops().lanes, length = part_of_run(m.from);
  const int64_t most = m.tiles_at_a_time(m.columns.back().vectors * lanes, threads(pool));
  const int64_t chunks = (m.tiles + most - 1) / most;
  const Ints reads = multiples(most, m.from);

  parallel(pool, chunks * c.groups, [&](int64_t item) {
    const int64_t g = item % c.groups, chunk = item / c.groups;
    const int64_t first = m.tiles * chunk / chunks;
    const int64_t count = m.tiles * (chunk + 1) / chunks - first;
    const Points inputs = m.transform(source, c.groups, g, first, count, zeros.get());
    for (size_t b = 0; b < m.columns.size(); ++b) {
      const Block& block = m.columns[b];
      const int64_t span = block.vectors * lanes;
      const Points outputs(1, m.map.to[0], count, span);
      const Ints writes = multiples(count, span);
      for (int64_t frame = 0; frame < m.map.to[0]; ++frame) {
        // The taps along the depth that read a frame of the image.
        int64_t low = 0, high = m.depth_taps();
        while (low < high && frame + m.depth.offsets[low] < 0) ++low;
        while (low < high && frame + m.depth.offsets[high - 1] >= m.map.from[0]) --high;
        Ints starts;
        for (int64_t a = low; a < high; ++a) {
          for (int64_t s = 0; s < m.from; s += length) {
            starts.push_back((frame + m.depth.offsets[a]) * count * m.from + s);
          }
        }
        for (int64_t point = 0; point < kPoints; ++point) {
          dense_loops().forward(inputs.at(point, 0), reads.data(), writes.data(), count,
                                starts.data(), starts.size(), length,
                                weights.at(g, b, point) + low * m.from * span, span, block.vectors,
                                outputs.at(point, frame), span, false);
        }
        for (int64_t t = 0; t < count; ++t) {
          float* pixels[kTile * kTile];
          written.find(first + t, frame, g * m.to + block.first, kTile, 0, 0, nullptr, pixels);
          winograd_loops().outputs(outputs.at(0, frame, t), outputs.step, block.count, pixels);
        }
      }
    }
  });
}

void winograd_kernel_gradient(Pool& pool, const Convolution& c, const float* x, const float* y,
                              float* kernel) {
  const Mapped m(c, false);
  const Tiles<const float> cotangents{y, m.map.to, c.features(), m.tile_rows, m.tile_columns};
  const Memory zeros = Memory::zeros(std::max(c.inputs, c.outputs));
  const int64_t lanes = dense_loops().lanes, rows = m.rows(), blocks = m.columns.size();
  const int64_t group_size = kPoints * rows * packed_width(m.columns);
  const int64_t total = c.groups * group_size;
  const Ints offsets = multiples(m.from, 1);

  // The tiles are divided into parts with sums of their own, which are added at the end. Their
  // number does not depend on the threads, and so neither does the result. Each block of features
  // of each group is computed for itself.
  const int64_t parts =
      std::min(m.tiles, std::clamp<int64_t>((int64_t{1} << 20) / total, 1, 8));
  const Memory sums(parts * total);  // [part][group][block][point][row][feature]
  parallel(pool, parts * c.groups * blocks, [&](int64_t item) {
    const int64_t part = item / (c.groups * blocks), g = item / blocks % c.groups;
    const Block& block = m.columns[item % blocks];
    const int64_t span = block.vectors * lanes;
    float* own = sums.get() + part * total + g * group_size + kPoints * rows * block.first;
    std::memset(own, 0, kPoints * rows * span * sizeof(float));

    const int64_t most = m.tiles_at_a_time(span, 1), end = m.tiles * (part + 1) / parts;
    const Ints reads = multiples(most * m.map.to[0], m.from);
    for (int64_t first = m.tiles * part / parts, count; first < end; first += count) {
      count = std::min(most, end - first);
      const Points inputs = m.transform(x, c.groups, g, first, count, zeros.get());
      const Points slopes(1, m.map.to[0], count, span);
      for (int64_t frame = 0; frame < m.map.to[0]; ++frame) {
        for (int64_t t = 0; t < count; ++t) {
          const float* pixels[kTile * kTile];
          cotangents.find(first + t, frame, g * m.to + block.first, kTile, 0, 0, zeros.get(),
                          pixels);
          // Beyond the features of the block are arbitrary values, whose sums are not read.
          winograd_loops().cotangents(pixels, block.count, slopes.at(0, frame, t), slopes.step);
        }
      }
      for (int64_t a = 0; a < m.depth_taps(); ++a) {
        // The frames whose tap reads a frame of the image.
        const int64_t offset = m.depth.offsets[a], low = std::max<int64_t>(0, -offset);
        const int64_t high = std::min(m.map.to[0], m.map.from[0] - offset);
        for (int64_t point = 0; point < kPoints && low < high; ++point) {
          dense_loops().kernel_gradient(inputs.at(point, low + offset), reads.data(),
                                        (high - low) * count, offsets.data(), m.from, m.from,
                                        slopes.at(point, low), span, block.vectors,
                                        own + (point * rows + a * m.from) * span);
        }
      }
    }
  });

  parallel(pool, rows, [&](int64_t row) {
    const int64_t a = row / m.from, s = row % m.from;
    for (int64_t g = 0; g < c.groups; ++g) {
      for (const Block& block : m.columns) {
        const int64_t span = block.vectors * lanes;
        const float* from = sums.get() + g * group_size + kPoints * rows * block.first;
        winograd_loops().kernel_gradient(
            from + row * span, rows * span, parts, total, block.count,
            kernel + (a * 9 * m.from + s) * c.features() + g * m.to + block.first,
            m.from * c.features());
      }
    }
  });
}
