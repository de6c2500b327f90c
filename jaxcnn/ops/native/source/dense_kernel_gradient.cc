#include <algorithm>
#include <cstring>

#include "dense.h"
#include "dense_plan.h"
#include "instruction_set.h"
#include "memory.h"

namespace {

// The channels of the inputs in slices, each copied to an image of its own: pixels that are far
// apart in memory, often by a power of two, would share few lines of the first-level cache.
struct Slices {
  int64_t groups, sources;           // merged groups, and input channels of each
  int64_t per_group, size, count;  // slices of a group, channels of a slice, slices in total

  Slices(int64_t groups, int64_t sources, int64_t most)
      : groups(groups),
        sources(sources),
        per_group((sources + most - 1) / most),
        size((sources + per_group - 1) / per_group),
        count(groups * per_group) {}

  // First input channel of a slice among all, and its number of channels, at most `size`.
  int64_t first(int64_t slice) const {
    return slice / per_group * sources + slice % per_group * size;
  }
  int64_t channels(int64_t slice) const {
    return std::min(size, sources - slice % per_group * size);
  }

  // Copies slices `low` to before `high` of an image, with zeros around them.
  void copy(const float* image, const Padded& padded, const int64_t (&sizes)[3], int64_t low,
            int64_t high, float* into) const {
    if (count == 1) {
      padded.copy(image, sizes, into, 0, padded.rows());
      return;
    }
    const int64_t features = groups * sources;
    std::memset(into, 0, (high - low) * padded.values() * sizeof(float));
    for (int64_t d = 0; d < sizes[0]; ++d) {
      for (int64_t h = 0; h < sizes[1]; ++h) {
        for (int64_t w = 0; w < sizes[2]; ++w) {
          const float* pixel = image + ((d * sizes[1] + h) * sizes[2] + w) * features;
          float* to = into + padded.at(d, h, w);
          for (int64_t slice = low; slice < high; ++slice, to += padded.values()) {
            std::memcpy(to, pixel + first(slice), channels(slice) * sizeof(float));
          }
        }
      }
    }
  }
};

}  // namespace

void dense_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                           const float* y, float* kernel) {
  const Map map(c, false);
  const int64_t together = merged_groups(c.groups, c.outputs), groups = c.groups / together;
  // Kernels of one tap, which read each pixel once, are as fast with wider slices, seldom copied.
  const Slices slices(groups, together * c.inputs, c.taps() == 1 ? 128 : 64);
  const int64_t targets = together * c.outputs, features = c.features();
  const int64_t lanes = dense_loops().lanes;
  const Padded padded(map.phases, map.from, slices.size);
  const Plan plan(c, map.phases[0][0], map.phases[1][0], map.phases[2][0], padded, map.to,
                  slices.size, features);
  const std::vector<Block> columns = blocks(targets);
  const int64_t width = packed_width(columns), depth = plan.offsets.size();
  const int64_t pixels = plan.reads.size(), total = slices.count * depth * width;
  const int64_t image_size = map.from[0] * map.from[1] * map.from[2] * c.in_features();

  // Pixels at a time, so that their inputs and outputs stay in the cache; of small images several,
  // so that the sums are seldom read and written. With AVX-512, 64 pixels and slices of at most 64
  // channels are 1 to 6 % faster than 128 or 256 pixels or 32 channels.
  const int64_t some = 64, images = std::max<int64_t>(1, some / pixels);

  // The images are divided into parts with sums of their own, which are added at the end. Their
  // number does not depend on the threads, and so neither does the result. Where the sums are
  // large or the images few, the slices are divided too.
  const int64_t most_parts =
      total <= (1 << 18) ? std::clamp<int64_t>(c.batch * pixels / 256, 1, 8) : 1;
  const int64_t parts = std::min(most_parts, (c.batch + images - 1) / images);
  const int64_t wanted = std::min(slices.count, (threads(pool) + parts - 1) / parts);
  const int64_t share_size = (slices.count + wanted - 1) / wanted;
  const int64_t shares = (slices.count + share_size - 1) / share_size;
  const bool copied = !padded.same || slices.count > 1;
  Ints reads;
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t read : plan.reads) reads.push_back(n * share_size * padded.values() + read);
  }
  const float* y_end = y + c.batch * pixels * features;
  const Memory sums = Memory::zeros(parts * total);
  parallel(pool, parts * shares, [&](int64_t item) {
    const int64_t part = item / shares, low = item % shares * share_size;
    const int64_t high = std::min(slices.count, low + share_size);
    const int64_t end = c.batch * (part + 1) / parts;
    float* packed = scratch(1, some * lanes * dense_loops().vectors);
    for (int64_t n = c.batch * part / parts; n < end; n += images) {
      const float* from = x + n * image_size;
      const int64_t present = std::min(images, end - n);
      if (copied) {
        float* copies = scratch(0, images * share_size * padded.values());
        for (int64_t i = 0; i < present; ++i) {
          slices.copy(from + i * image_size, padded, map.from, low, high,
                      copies + i * share_size * padded.values());
        }
        from = copies;
      }
      for (int64_t p = 0; p < present * pixels; p += some) {
        const int64_t count = std::min(some, present * pixels - p);
        for (int64_t g = low / slices.per_group; g * slices.per_group < high; ++g) {
          int64_t column = 0;
          for (const Block& block : columns) {
            const int64_t span = block.vectors * lanes;
            const float* cotangents = y + (n * pixels + p) * features + g * targets + block.first;
            // Those of one block are read where they are, unless that would be past their end.
            const bool pack = span < features || cotangents + (count - 1) * features + span > y_end;
            for (int64_t q = 0; q < count && pack; ++q) {
              float* row = packed + q * span;
              std::memcpy(row, cotangents + q * features, block.count * sizeof(float));
              std::memset(row + block.count, 0, (span - block.count) * sizeof(float));
            }
            const int64_t last = std::min(high, (g + 1) * slices.per_group);
            for (int64_t s = std::max(low, g * slices.per_group); s < last; ++s) {
              dense_loops().kernel_gradient(
                  from + (s - low) * padded.values(), &reads[p], count, plan.offsets.data(), depth,
                  plan.run_length(), pack ? packed : cotangents,
                  pack ? span : features, block.vectors,
                  sums.get() + part * total + (s * width + column) * depth);
            }
            column += span;
          }
        }
      }
    }
  });

  parallel(pool, c.taps(), [&](int64_t t) {
    for (int64_t s = 0; s < slices.count; ++s) {
      const int64_t g = s / slices.per_group;
      for (int64_t i = 0; i < slices.channels(s); ++i) {
        const int64_t source = slices.first(s) + i, own = source / c.inputs;
        float* to = kernel + (t * c.inputs + source % c.inputs) * features;
        int64_t column = 0;
        for (const Block& block : columns) {
          const int64_t span = block.vectors * lanes;
          const float* from =
              sums.get() + (s * width + column) * depth + (t * slices.size + i) * span;
          // Of the features of the block, those in the group of this source.
          const int64_t start = g * targets + block.first;
          const int64_t first = std::max(start, own * c.outputs);
          const int64_t last = std::min(start + block.count, (own + 1) * c.outputs);
          for (int64_t feature = first; feature < last; ++feature) {
            float sum = 0;
            for (int64_t part = 0; part < parts; ++part) {
              sum += from[part * total + feature - start];
            }
            to[feature] = sum;
          }
          column += span;
        }
      }
    }
  });
}
