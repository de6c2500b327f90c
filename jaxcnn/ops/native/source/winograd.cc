#include "winograd.h"

#include <algorithm>
#include <cstring>

#include "memory.h"
#include "winograd_tiles.h"

namespace {

using Pool = xla::ffi::ThreadPool;

// The weights of a convolution or its input gradient.
struct Kernel {
  const Convolution& c;
  const Mapped& m;
  const bool input_gradient;
  const float* values;

  // Transforms those from `count` successive sources to a block of features of a group, at a tap
  // along the depth, to points[point·step + source·span + feature].
  void transform(int64_t group, const Block& block, int64_t depth_tap, int64_t first,
                 int64_t count, float* points, int64_t step) const {
    const int64_t span = block.vectors * dense_loops().lanes, size = count * span;
    float* packed = scratch(2, 9 * size);  // [tap][source][feature]
    if (block.count < span) std::memset(packed, 0, 9 * size * sizeof(float));
    for (int64_t t = 0; t < 9; ++t) {
      const int64_t tap =
          (m.depth.taps[depth_tap] * 3 + m.height.taps[t / 3]) * 3 + m.width.taps[t % 3];
      const float* from = values + tap * c.inputs * c.features() + group * c.outputs;
      float* to = packed + t * size;
      if (input_gradient) {
        for (int64_t f = 0; f < block.count; ++f) {
          const float* row = from + (block.first + f) * c.features() + first;
          for (int64_t s = 0; s < count; ++s) to[s * span + f] = row[s];
        }
      } else {
        for (int64_t s = 0; s < count; ++s) {
          std::memcpy(to + s * span, from + (first + s) * c.features() + block.first,
                      block.count * sizeof(float));
        }
      }
    }
    winograd_loops().weights(packed, size, size, points, step);
  }
};

// All transformed weights: [group][block][point][tap along the depth][source][feature].
struct Weights {
  Memory values;
  int64_t group_size = 0;
  Ints starts, steps;  // of each block, and from point to point

  Weights(Pool& pool, const Convolution& c, const Mapped& m, const Kernel& kernel) {
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
        const int64_t row = (a * m.from + first) * m.columns[b].vectors * lanes;
        kernel.transform(g, m.columns[b], a, first, count,
                         values.get() + g * group_size + starts[b] + row, steps[b]);
      }
    });
  }

  const float* at(int64_t group, size_t block, int64_t point) const {
    return values.get() + group * group_size + starts[block] + point * steps[block];
  }
};

// Writes the outputs of some tiles, a block of features of a group.
void write_outputs(const Convolution& c, const Mapped& m, int64_t group, const Block& block,
                   int64_t first, const Points& outputs, float* target) {
  const Tiles<float> written{target, m.map.to, c.groups * m.to, m.tile_rows, m.tile_columns};
  for (int64_t frame = 0; frame < m.map.to[0]; ++frame) {
    for (int64_t t = 0; t < outputs.tiles; ++t) {
      float* pixels[kTile * kTile];
      written.find(first + t, frame, group * m.to + block.first, kTile, 0, 0, nullptr, pixels);
      winograd_loops().outputs(outputs.at(0, frame, t), outputs.step, block.count, pixels);
    }
  }
}

// Each thread transforms the weights of some blocks of features, those of some sources at a time,
// and uses them while they are in the cache.
void few_tiles(Pool& pool, const Convolution& c, const Mapped& m, const Kernel& kernel,
               const float* source, float* target) {
  constexpr int64_t some = 64;
  const Memory zeros = Memory::zeros(m.from);
  const int64_t blocks = m.columns.size(), shares = c.groups * blocks;
  const int64_t chunks = std::min(m.tiles, (threads(pool) + shares - 1) / shares);
  const Ints reads = multiples(m.tiles, m.from);
  parallel(pool, chunks * shares, [&](int64_t item) {
    const int64_t chunk = item / shares, g = item / blocks % c.groups;
    const Block& block = m.columns[item % blocks];
    const int64_t span = block.vectors * dense_loops().lanes, step = some * span + kApart;
    const int64_t first = m.tiles * chunk / chunks;
    const int64_t count = m.tiles * (chunk + 1) / chunks - first;
    const Points inputs = m.transform(source, c.groups, g, first, count, zeros.get());
    const Points outputs(1, m.map.to[0], count, span);
    std::memset(outputs.values, 0, kPoints * outputs.step * sizeof(float));
    float* weights = scratch(3, kPoints * step);
    const Ints writes = multiples(count, span);
    for (int64_t a = 0; a < m.depth_taps(); ++a) {
      for (int64_t s = 0; s < m.from; s += some) {
        const int64_t length = std::min(some, m.from - s);
        kernel.transform(g, block, a, s, length, weights, step);
        for (int64_t frame = 0; frame < m.map.to[0]; ++frame) {
          const int64_t read = frame + m.depth.offsets[a];
          if (read < 0 || read >= m.map.from[0]) continue;
          const int64_t start = read * count * m.from + s;
          for (int64_t point = 0; point < kPoints; ++point) {
            dense_loops().forward(inputs.at(point, 0), reads.data(), writes.data(), count, &start,
                                  1, length, weights + point * step, span, block.vectors,
                                  outputs.at(point, frame), span, true);
          }
        }
      }
    }
    write_outputs(c, m, g, block, first, outputs, target);
  });
}

// All weights are transformed first, and each thread takes some tiles at a time.
void many_tiles(Pool& pool, const Convolution& c, const Mapped& m, const Kernel& kernel,
                const float* source, float* target) {
  const Weights weights(pool, c, m, kernel);
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
      }
      write_outputs(c, m, g, block, first, outputs, target);
    }
  });
}

}  // namespace

void winograd(Pool& pool, const Convolution& c, bool input_gradient, const float* source,
              const float* kernel, float* target) {
  const Mapped m(c, input_gradient);
  const Kernel weights{c, m, input_gradient, kernel};
  const int64_t all = m.tiles * std::max(m.map.from[0], m.map.to[0]);
  (all <= 64 ? few_tiles : many_tiles)(pool, c, m, weights, source, target);
}
