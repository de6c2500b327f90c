#include "dense.h"

#include <algorithm>

#include "dense_plan.h"
#include "instruction_set.h"
#include "memory.h"

namespace {

using Pool = xla::ffi::ThreadPool;

// The groups of a map, of which `together` at a time are computed as one.
struct Groups {
  int64_t from, to;  // channels of a group
  int64_t together, count, sources, targets;
  bool narrow;  // whether vectors run along the inputs

  Groups(const Convolution& c, bool input_gradient)
      : from(input_gradient ? c.outputs : c.inputs),
        to(input_gradient ? c.inputs : c.outputs),
        together(merged_groups(c.groups, to)),
        count(c.groups / together),
        sources(together * from),
        targets(together * to),
        narrow(c.groups == 1 && to <= narrow_loops().features && from >= dense_loops().lanes) {}
};

// Writes the kernel's weights in the order in which the loops read them: for each k the features
// of a block or, for the narrow loops, for each feature all k.
void pack_weights(Pool& pool, const Convolution& c, bool input_gradient, const Groups& groups,
                  const std::vector<Block>& columns, const float* kernel, Plan& plan) {
  constexpr int64_t some = 16;  // sources at a time: of transposed weights a line of the cache
  const int64_t depth = plan.offsets.size(), taps = plan.taps.size();
  const int64_t width = packed_width(columns), lanes = dense_loops().lanes;
  const int64_t portions = (groups.from + some - 1) / some, size = groups.count * depth * width;
  // Zeros between merged groups and after the last feature.
  const bool whole = groups.together == 1 && width == groups.to;
  plan.weights = whole ? Memory(size) : Memory::zeros(size);
  parallel(pool, groups.count * taps * portions, [&](int64_t item) {
    const int64_t g = item / (taps * portions), t = item / portions % taps;
    const int64_t from = item % portions * some, end = std::min(groups.from, from + some);
    const float* tap = kernel + plan.taps[t] * c.inputs * c.features();
    float* pack = plan.weights.get() + g * depth * width;
    for (const Block& block : columns) {
      const int64_t span = block.vectors * lanes;
      const int64_t k_step = groups.narrow ? 1 : span, f_step = groups.narrow ? depth : 1;
      for (int64_t own = 0; own < groups.together; ++own) {
        // Of the features of the block, those in this group.
        const int64_t before = own * groups.to;
        const int64_t low = std::max(block.first, before) - before;
        const int64_t high = std::min(block.first + block.count, before + groups.to) - before;
        const float* weights = tap + (g * groups.together + own) * c.outputs;
        float* to = pack + (t * groups.sources + own * groups.from) * k_step +
                    (before - block.first) * f_step;
        if (input_gradient) {
          for (int64_t f = low; f < high; ++f) {
            const float* row = weights + f * c.features();
            for (int64_t s = from; s < end; ++s) to[s * k_step + f * f_step] = row[s];
          }
        } else {
          for (int64_t s = from; s < end; ++s) {
            const float* row = weights + s * c.features();
            for (int64_t f = low; f < high; ++f) to[s * k_step + f * f_step] = row[f];
          }
        }
      }
      pack += depth * span;
    }
  });
}

// The convolution of so few pixels that packing the weights would take longer than the products:
// they are read where they are, each by one thread.
void dense_of_few_pixels(Pool& pool, const Convolution& c, const Map& map, const Padded& padded,
                         const std::vector<Block>& columns, const float* x, const float* kernel,
                         float* y) {
  const int64_t features = c.features();
  const Plan plan(c, map.phases[0][0], map.phases[1][0], map.phases[2][0], padded, map.to,
                  c.inputs, features);
  const int64_t image_size = map.from[0] * map.from[1] * map.from[2] * padded.channels;
  const Memory copies(padded.same ? 0 : c.batch * padded.values());
  if (!padded.same) {
    for (int64_t n = 0; n < c.batch; ++n) {
      padded.copy(x + n * image_size, map.from, copies.get() + n * padded.values(), 0,
                  padded.rows());
    }
    x = copies.get();
  }
  Ints reads, writes;
  for (int64_t n = 0; n < c.batch; ++n) {
    for (size_t p = 0; p < plan.reads.size(); ++p) {
      reads.push_back(n * padded.values() + plan.reads[p]);
      writes.push_back(n * plan.writes.size() * features + plan.writes[p]);
    }
  }
  // Each thread takes some blocks of features, and of all of them some rows of the kernel at a time:
  // rows of one block only would be on other pages of memory each.
  const int64_t wanted = threads(pool), count = columns.size(), pixels = reads.size();
  const int64_t shares = std::min(count, (wanted + c.groups - 1) / c.groups);
  const int64_t parts = std::min(pixels, (wanted + c.groups * shares - 1) / (c.groups * shares));
  const int64_t length = plan.run_length(), runs = plan.starts.size();
  const int64_t some = std::max<int64_t>(1, 128 / std::max<int64_t>(1, length));
  parallel(pool, c.groups * shares * parts, [&](int64_t item) {
    const int64_t g = item / (shares * parts), share = item / parts % shares, part = item % parts;
    const int64_t first = pixels * part / parts, end = pixels * (part + 1) / parts;
    int64_t run = 0;
    do {
      for (int64_t b = count * share / shares; b < count * (share + 1) / shares; ++b) {
        const int64_t feature = g * c.outputs + columns[b].first;
        dense_loops().forward(x + g * c.inputs, &reads[first], &writes[first], end - first,
                              plan.starts.data() + run, std::min(some, runs - run), length,
                              kernel + run * length * features + feature, features,
                              columns[b].vectors, y + feature, columns[b].count, run > 0);
      }
      run += some;
    } while (run < runs);
  });
}

}  // namespace

void dense(Pool& pool, const Convolution& c, bool input_gradient, const float* source,
           const float* kernel, float* target) {
  const Map map(c, input_gradient);
  const Groups groups(c, input_gradient);
  const Padded padded(map.phases, map.from, c.groups * groups.from);
  const std::vector<Block> columns = blocks(groups.targets);
  const int64_t features = c.groups * groups.to, lanes = dense_loops().lanes;

  const bool few_pixels = c.batch * map.to[0] * map.to[1] * map.to[2] < 256;
  if (few_pixels && !input_gradient && !groups.narrow && groups.together == 1 &&
      groups.to % lanes == 0) {
    dense_of_few_pixels(pool, c, map, padded, columns, source, kernel, target);
    return;
  }
  std::vector<Plan> plans;
  for (const Phase& d : map.phases[0]) {
    for (const Phase& h : map.phases[1]) {
      for (const Phase& w : map.phases[2]) {
        plans.emplace_back(c, d, h, w, padded, map.to, groups.sources, features);
        pack_weights(pool, c, input_gradient, groups, columns, kernel, plans.back());
      }
    }
  }

  // Number of pixels whose inputs stay in the cache from one block of features to the next.
  const int64_t some = std::max<int64_t>(48, 65536 / padded.channels / 48 * 48);
  const auto run = [&](const float* image, int64_t n, int64_t part, int64_t parts) {
    float* written = target + n * map.to[0] * map.to[1] * map.to[2] * features;
    for (const Plan& plan : plans) {
      const int64_t pixels = plan.reads.size(), depth = plan.offsets.size();
      const int64_t end = pixels * (part + 1) / parts;
      for (int64_t p = pixels * part / parts; p < end; p += some) {
        const float* weights = plan.weights.get();
        if (groups.narrow) {
          narrow_loops().forward(image, &plan.reads[p], &plan.writes[p], std::min(some, end - p),
                                 plan.starts.data(), plan.starts.size(), plan.run_length(),
                                 weights, written, features);
          continue;
        }
        for (int64_t g = 0; g < groups.count; ++g) {
          for (const Block& block : columns) {
            const int64_t span = block.vectors * lanes;
            dense_loops().forward(image + g * groups.sources, &plan.reads[p], &plan.writes[p],
                                  std::min(some, end - p), plan.starts.data(),
                                  plan.starts.size(), plan.run_length(), weights, span,
                                  block.vectors, written + g * groups.targets + block.first,
                                  block.count, false);
            weights += depth * span;
          }
        }
      }
    }
  };

  const int64_t image_size = map.from[0] * map.from[1] * map.from[2] * padded.channels;
  const int64_t enough = 8 * threads(pool);  // items, so that no thread waits long for the last
  const int64_t parts = (enough + c.batch - 1) / c.batch;
  if (padded.same) {
    parallel(pool, c.batch * parts, [&](int64_t item) {
      run(source + item / parts * image_size, item / parts, item % parts, parts);
    });
  } else if (c.batch % threads(pool) == 0 || c.batch >= enough) {
    parallel(pool, c.batch, [&](int64_t n) {
      float* image = scratch(0, padded.values());
      padded.copy(source + n * image_size, map.from, image, 0, padded.rows());
      run(image, n, 0, 1);
    });
  } else {
    const Memory images(c.batch * padded.values());
    parallel(pool, c.batch * parts, [&](int64_t item) {
      const int64_t n = item / parts, part = item % parts;
      padded.copy(source + n * image_size, map.from, images.get() + n * padded.values(),
                  padded.rows() * part / parts, padded.rows() * (part + 1) / parts);
    });
    parallel(pool, c.batch * parts, [&](int64_t item) {
      run(images.get() + item / parts * padded.values(), item / parts, item % parts, parts);
    });
  }
}
