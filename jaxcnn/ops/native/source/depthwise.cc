#include "depthwise.h"

#include <algorithm>

#include "instruction_set.h"
#include "memory.h"

namespace {

// A row of inputs, and the weights with which a row of outputs reads it.
struct Read {
  int64_t row;
  const float* weights;
};

}  // namespace

void depthwise(xla::ffi::ThreadPool& pool, const Convolution& c, bool input_gradient,
               const float* source, const float* kernel, float* target) {
  const int64_t channels = c.groups;
  const Map map(c, input_gradient);
  const int64_t rows = map.to[0] * map.to[1], image_rows = map.from[0] * map.from[1];

  // The weights of each phase along a row, in the order in which it reads them.
  std::vector<Memory> weights;
  const int64_t leading = c.axes[0].window * c.axes[1].window;
  for (const Phase& w : map.phases[2]) {
    weights.emplace_back(leading * static_cast<int64_t>(w.taps.size()) * channels);
    float* packed = weights.back().get();
    for (int64_t r = 0; r < leading; ++r) {
      for (int64_t k : w.taps) {
        const float* from = kernel + (r * c.axes[2].window + k) * channels;
        packed = std::copy(from, from + channels, packed);
      }
    }
  }

  // Where many outputs have taps outside the row, rows are copied with zeros at both ends.
  const std::vector<Phase> only[3] = {{}, {}, map.phases[2]};
  const Padded padded(only, map.from, channels);
  const bool pad =
      8 * (padded.size[2] - map.from[2]) > map.from[2] && c.batch % threads(pool) == 0;
  const int64_t length = pad ? padded.size[2] : map.from[2];
  std::vector<Ints> offsets;
  for (const Phase& w : map.phases[2]) {
    offsets.push_back(w.offsets);
    for (int64_t& offset : offsets.back()) offset += pad ? padded.low[2] : 0;
    if (w.taps.empty()) offsets.back().push_back(0);
  }

  const int64_t items = pad ? c.batch : std::min(c.batch * rows, 8 * threads(pool));
  parallel(pool, items, [&](int64_t item) {
    const float* images = source;
    if (pad) {
      float* copy = scratch(0, padded.values());
      padded.copy(source + item * image_rows * map.from[2] * channels, map.from, copy, 0,
                  image_rows);
      images = copy - item * padded.values();
    }
    // Where each row of outputs reads a row of inputs, and the weights with which it does.
    std::vector<Read> reads, next_reads;
    std::vector<const float*> x(2 * leading), w(2 * leading), w_next(2 * leading);
    const auto find = [&](int64_t i, size_t phase, std::vector<Read>& found) {
      const int64_t n = i / rows, d = i % rows / map.to[1], h = i % map.to[1];
      const Phase& in_depth = map.phases[0][d % map.phases[0].size()];
      const Phase& in_height = map.phases[1][h % map.phases[1].size()];
      const int64_t j = d / in_depth.step, k = h / in_height.step;
      const int64_t taps = map.phases[2][phase].taps.size();
      found.clear();
      for (size_t a = 0; a < in_depth.taps.size() && taps; ++a) {
        const int64_t from_d = j * in_depth.stride + in_depth.offsets[a];
        if (from_d < 0 || from_d >= map.from[0]) continue;
        for (size_t b = 0; b < in_height.taps.size(); ++b) {
          const int64_t from_h = k * in_height.stride + in_height.offsets[b];
          if (from_h < 0 || from_h >= map.from[1]) continue;
          const int64_t tap = in_depth.taps[a] * c.axes[1].window + in_height.taps[b];
          found.push_back({(n * map.from[0] + from_d) * map.from[1] + from_h,
                           weights[phase].get() + tap * taps * channels});
        }
      }
    };
    const int64_t end = c.batch * rows * (item + 1) / items;
    for (int64_t i = c.batch * rows * item / items, done; i < end; i += done) {
      // Two successive rows of an image that read some rows in common.
      const bool pair = i + 1 < end && (i + 1) % map.to[1] && map.phases[1].size() == 1 &&
                        c.axes[1].dilation == 1 && c.axes[1].window > c.axes[1].stride;
      done = pair ? 2 : 1;
      float* row = target + i * map.to[2] * channels;
      for (size_t phase = 0; phase < map.phases[2].size(); ++phase) {
        const Phase& in_width = map.phases[2][phase];
        find(i, phase, reads);
        next_reads.clear();
        if (pair) find(i + 1, phase, next_reads);
        int64_t found = 0;
        for (size_t a = 0, b = 0; a < reads.size() || b < next_reads.size(); ++found) {
          const bool first = a < reads.size() &&
                             (b == next_reads.size() || reads[a].row <= next_reads[b].row);
          const bool second = b < next_reads.size() &&
                              (a == reads.size() || next_reads[b].row <= reads[a].row);
          x[found] = images + (first ? reads[a] : next_reads[b]).row * length * channels;
          w[found] = first ? reads[a++].weights : nullptr;
          w_next[found] = second ? next_reads[b++].weights : nullptr;
        }
        if (!pad && phase == 0 && found) {
          // Prefetch what the next row of outputs reads and this one does not.
          const float* next = x[found - 1] + length * channels;
          const float* last =
              std::min(next + done * map.phases[1][0].stride * length * channels,
                       source + c.batch * image_rows * map.from[2] * channels);
          for (; next < last; next += 16) __builtin_prefetch(next);
        }
        float* y = row + in_width.start * channels;
        depthwise_loops().forward(x.data(), w.data(), w_next.data(), found,
                                  in_width.taps.size(), offsets[phase].data(), length,
                                  in_width.stride, y, pair ? y + map.to[2] * channels : nullptr,
                                  in_width.step, in_width.count, channels);
      }
    }
  });
}

void depthwise_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                               const float* y, float* kernel) {
  const int64_t channels = c.groups;
  const Axis &depth = c.axes[0], &height = c.axes[1], &width = c.axes[2];
  const Map map(c, false);
  const Ints& offsets = map.phases[2][0].offsets;
  const int64_t rows = c.batch * depth.out * height.out, size = c.taps() * channels;

  // Each part of the rows has sums of its own, which are added at the end. The number of parts
  // does not depend on the threads, and so neither does the result.
  const int64_t parts = std::min<int64_t>(rows, 16);
  const Memory sums = Memory::zeros(parts * size);
  parallel(pool, parts, [&](int64_t part) {
    float* mine = sums.get() + part * size;
    for (int64_t i = rows * part / parts; i < rows * (part + 1) / parts; ++i) {
      const int64_t n = i / (depth.out * height.out), d = i / height.out % depth.out;
      const int64_t h = i % height.out;
      for (int64_t a = 0; a < depth.window; ++a) {
        const int64_t from_d = d * depth.stride + a * depth.dilation - depth.low;
        if (from_d < 0 || from_d >= depth.in) continue;
        for (int64_t b = 0; b < height.window; ++b) {
          const int64_t from_h = h * height.stride + b * height.dilation - height.low;
          if (from_h < 0 || from_h >= height.in) continue;
          depthwise_loops().kernel_gradient(
              x + ((n * depth.in + from_d) * height.in + from_h) * width.in * channels,
              y + i * width.out * channels,
              mine + (a * height.window + b) * width.window * channels, width.window,
              offsets.data(), width.in, width.stride, width.out, channels);
        }
      }
    }
  });
  for (int64_t i = 0; i < size; ++i) {
    float sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += sums.get()[part * size + i];
    kernel[i] = sum;
  }
}
