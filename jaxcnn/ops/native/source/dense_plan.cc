#include "dense_plan.h"

#include <algorithm>

#include "instruction_set.h"

int64_t merged_groups(int64_t groups, int64_t features) {
  int64_t most = 1;
  for (int64_t q = 2; q <= groups && q * features <= dense_loops().lanes; ++q) {
    if (groups % q == 0) most = q;
  }
  return most;
}

std::vector<Block> blocks(int64_t features) {
  // As few blocks as possible, as equal as possible.
  const int64_t lanes = dense_loops().lanes, vectors = (features + lanes - 1) / lanes;
  const int64_t count = (vectors + dense_loops().vectors - 1) / dense_loops().vectors;
  std::vector<Block> made;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = vectors * i / count, last = vectors * (i + 1) / count;
    made.push_back({first * lanes, std::min(features, last * lanes) - first * lanes, last - first});
  }
  return made;
}

int64_t packed_width(const std::vector<Block>& columns) {
  int64_t vectors = 0;
  for (const Block& block : columns) vectors += block.vectors;
  return vectors * dense_loops().lanes;
}

int64_t part_of_run(int64_t length) {
  for (int64_t parts = 2; length > 128 && parts <= length; ++parts) {
    if (length % parts == 0 && length / parts <= 128) length /= parts;
  }
  return length;
}

Plan::Plan(const Convolution& c, const Phase& d, const Phase& h, const Phase& w,
           const Padded& padded, const int64_t (&written)[3], int64_t sources, int64_t features) {
  for (int64_t i = 0; i < d.count; ++i) {
    for (int64_t j = 0; j < h.count; ++j) {
      const int64_t row = ((d.start + i * d.step) * written[1] + h.start + j * h.step) * written[2];
      for (int64_t k = 0; k < w.count; ++k) {
        reads.push_back(padded.at(i * d.stride, j * h.stride, k * w.stride));
        writes.push_back((row + w.start + k * w.step) * features);
      }
    }
  }
  const int64_t origin = padded.at(0, 0, 0);
  for (size_t i = 0; i < d.taps.size(); ++i) {
    for (size_t j = 0; j < h.taps.size(); ++j) {
      for (size_t k = 0; k < w.taps.size(); ++k) {
        taps.push_back((d.taps[i] * c.axes[1].window + h.taps[j]) * c.axes[2].window + w.taps[k]);
        const int64_t at = padded.at(d.offsets[i], h.offsets[j], w.offsets[k]) - origin;
        for (int64_t s = 0; s < sources; ++s) offsets.push_back(at + s);
      }
    }
  }
  if (offsets.empty()) return;
  // Taps that are next to each other along a row are one run.
  const size_t row = w.taps.size() * sources;
  size_t length = sources;
  while (length < row && offsets[length] == offsets[length - 1] + 1) length += sources;
  if (length < row) length = sources;
  length = part_of_run(length);
  for (size_t k = 0; k < offsets.size(); k += length) starts.push_back(offsets[k]);
}
