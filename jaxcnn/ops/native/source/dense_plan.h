// Tables for the dense loops.
#pragma once
#include "geometry.h"
#include "memory.h"

// Number of neighboring groups that are computed as one, with zeros between them, so that their
// features fill a vector.
int64_t merged_groups(int64_t groups, int64_t features);

// Features that one pass over the inputs computes.
struct Block {
  int64_t first, count, vectors;
};
std::vector<Block> blocks(int64_t features);

// Values in a row of packed weights or sums: those of all blocks.
int64_t packed_width(const std::vector<Block>& columns);

// Length of the equal parts in which the loops take a run of weights, so that some whole parts stay
// in the cache.
int64_t part_of_run(int64_t length);

// One phase along every axis.
struct Plan {
  Ints reads, writes;            // of each pixel
  Ints offsets;                  // of each tap, then each input of the merged groups
  Ints starts;                   // of runs of successive offsets, all equally long
  Ints taps;                     // places in the kernel
  Memory weights;                // [merged groups][block][k][lanes of the block]

  int64_t run_length() const { return starts.empty() ? 0 : offsets.size() / starts.size(); }

  Plan(const Convolution& c, const Phase& d, const Phase& h, const Phase& w, const Padded& padded,
       const int64_t (&written)[3], int64_t sources, int64_t features);
};
