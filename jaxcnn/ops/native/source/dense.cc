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
  const int64_t depth = plan.offsets.size(), taps = plan.taps.size();
  const int64_t width = packed_width(columns), lanes = dense_loops().lanes;
  plan.weights = Memory::zeros(groups.count * depth * width);
  parallel(pool, groups.count * taps, [&](int64_t item) {
    const int64_t g = item % groups.count, t = item / groups.count;
    const float* tap = kernel + plan.taps[t] * c.inputs * c.features();
    float* pack = plan.weights.get() + g * depth * width;
    for (const Block& block : columns) {
      const int64_t span = block.vectors * lanes;
      const int64_t k_step = groups.narrow ? 1 : span, f_step = groups.narrow ? depth : 1;
      for (int64_t s = 0; s < groups.sources; ++s) {
        // Of the features of the block, those in the group of this source.
        const int64_t own = s / groups.from, source = s % groups.from;
        const int64_t low = std::max(block.first, own * groups.to);
        const int64_t high = std::min(block.first + block.count, (own + 1) * groups.to);
        const int64_t step = input_gradient ? c.features() : 1;
        const float* weights = tap + (g * groups.together + own) * c.outputs +
                               source * (input_gradient ? 1 : c.features()) +
                               (low - own * groups.to) * step;
        float* lane = pack + (t * groups.sources + s) * k_step + (low - block.first) * f_step;
        for (int64_t f = 0; f < high - low; ++f) lane[f * f_step] = weights[f * step];
      }
      pack += depth * span;
    }
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
            dense_loops().forward(image + g * groups.sources, &plan.reads[p], &plan.writes[p],
                                  std::min(some, end - p), plan.starts.data(),
                                  plan.starts.size(), plan.run_length(), weights, block.vectors,
                                  written + g * groups.targets + block.first, block.count);
            weights += depth * block.vectors * lanes;
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
