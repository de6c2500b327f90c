#include <algorithm>
#include <cstring>

#include "memory.h"
#include "winograd.h"
#include "winograd_tiles.h"

void winograd_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                              const float* y, float* kernel) {
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
  const int64_t parts = std::min(m.tiles, std::clamp<int64_t>((int64_t{1} << 20) / total, 1, 8));
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
