#include <algorithm>
#include <cstring>

#include "dense.h"
#include "dense_plan.h"
#include "instruction_set.h"
#include "memory.h"

void dense_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                           const float* y, float* kernel) {
  const Map map(c, false);
  const int64_t together = merged_groups(c.groups, c.outputs), groups = c.groups / together;
  const int64_t sources = together * c.inputs, targets = together * c.outputs;
  const int64_t features = c.features(), lanes = dense_loops().lanes;
  const Padded padded(map.phases, map.from, c.in_features());
  const Plan plan(c, map.phases[0][0], map.phases[1][0], map.phases[2][0], padded, map.to, sources,
                  features);
  const std::vector<Block> columns = blocks(targets);
  const int64_t width = packed_width(columns), depth = plan.offsets.size();
  const int64_t pixels = plan.reads.size(), total = groups * depth * width;

  // The images are divided into parts with sums of their own, which are added at the end. Their
  // number does not depend on the threads, and so neither does the result. Where the sums are
  // large or the images few, the rows of the kernel are divided too.
  const int64_t parts = total <= (1 << 18) ? std::min<int64_t>(c.batch, 8) : 1;
  const int64_t slices = (threads(pool) + parts - 1) / parts;
  const Memory sums = Memory::zeros(parts * total);
  const int64_t some = std::max<int64_t>(48, std::min<int64_t>(256, 4096 / sources));
  parallel(pool, parts * slices, [&](int64_t item) {
    const int64_t part = item / slices, slice = item % slices;
    // 24 is a multiple of the rows of every register tile.
    const int64_t tiles = (depth + 23) / 24;
    const int64_t low = std::min(depth, tiles * slice / slices * 24);
    const int64_t high = std::min(depth, tiles * (slice + 1) / slices * 24);
    if (low == high) return;
    float* packed = scratch(1, some * width);
    for (int64_t n = c.batch * part / parts; n < c.batch * (part + 1) / parts; ++n) {
      const float* image = x + n * map.from[0] * map.from[1] * map.from[2] * c.in_features();
      if (!padded.same) {
        float* copy = scratch(0, padded.values());
        padded.copy(image, map.from, copy, 0, padded.rows());
        image = copy;
      }
      for (int64_t p = 0; p < pixels; p += some) {
        const int64_t count = std::min(some, pixels - p);
        for (int64_t g = 0; g < groups; ++g) {
          float* add = sums.get() + part * total + g * depth * width;
          for (const Block& block : columns) {
            const int64_t span = block.vectors * lanes;
            const float* from = y + (n * pixels + p) * features + g * targets + block.first;
            for (int64_t q = 0; q < count; ++q) {
              std::memcpy(packed + q * span, from + q * features, block.count * sizeof(float));
              std::memset(packed + q * span + block.count, 0,
                          (span - block.count) * sizeof(float));
            }
            dense_loops().kernel_gradient(image + g * sources, &plan.reads[p], count,
                                          plan.offsets.data() + low, high - low, packed,
                                          block.vectors, add + low * span);
            add += depth * span;
          }
        }
      }
    }
  });

  parallel(pool, c.taps(), [&](int64_t t) {
    for (int64_t g = 0; g < groups; ++g) {
      int64_t at = g * depth * width;
      for (const Block& block : columns) {
        const int64_t span = block.vectors * lanes;
        for (int64_t s = 0; s < sources; ++s) {
          for (int64_t f = 0; f < block.count; ++f) {
            const int64_t feature = block.first + f;
            if (feature / c.outputs != s / c.inputs) continue;  // between two groups
            float sum = 0;
            for (int64_t part = 0; part < parts; ++part) {
              sum += sums.get()[part * total + at + (t * sources + s) * span + f];
            }
            kernel[(t * c.inputs + s % c.inputs) * features + g * targets + feature] = sum;
          }
        }
        at += depth * span;
      }
    }
  });
}
