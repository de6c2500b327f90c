// The inner loops. Each `loops_*.cc` is compiled once for each instruction set with
// -DNAME=<instruction set> -DBYTES=<bytes of a vector>, and exports one table of functions. These
// files use no standard containers, whose code the linker would share between instruction sets.
#pragma once
#include <cstdint>

struct DenseLoops {
  int64_t lanes;    // float32 values in a vector
  int64_t vectors;  // the most that one call computes

  // y[writes[p]][0:features] = Σ_k x[reads[p] + offsets[k]] · weights[k·step][0:vectors·lanes],
  // where the offsets are `runs` runs of `length` successive numbers; or adds that.
  void (*forward)(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
                  const int64_t* starts, int64_t runs, int64_t length, const float* weights,
                  int64_t step, int64_t vectors, float* y, int64_t features, bool add);

  // sums[k][0:vectors·lanes] += Σ_p x[reads[p] + offsets[k]] · y[p·y_step][0:vectors·lanes], where
  // the `depth` offsets are runs of `length` successive numbers.
  void (*kernel_gradient)(const float* x, const int64_t* reads, int64_t pixels,
                          const int64_t* offsets, int64_t depth, int64_t length, const float* y,
                          int64_t y_step, int64_t vectors, float* sums);
};

struct NarrowLoops {
  int64_t features;  // the most that one call computes

  // y[writes[p]][f] = Σ_k x[reads[p] + offsets[k]] · weights[f][k], offsets as in
  // DenseLoops::forward.
  void (*forward)(const float* x, const int64_t* reads, const int64_t* writes, int64_t pixels,
                  const int64_t* starts, int64_t runs, int64_t length, const float* weights,
                  float* y, int64_t features);
};

struct DepthwiseLoops {
  // One row of outputs: y[j·y_step][c] = Σ_rk x[r][j·x_step + at[k]][c] · w[r][k][c], where inputs
  // outside 0 ≤ · < size are zero and `at` is an arithmetic sequence. Unless `y_next` is null,
  // also another row with the weights `w_next`; an entry of either is null where its row does not
  // read x.
  void (*forward)(const float* const* x, const float* const* w, const float* const* w_next,
                  int64_t rows, int64_t taps, const int64_t* at, int64_t size, int64_t x_step,
                  float* y, float* y_next, int64_t y_step, int64_t count, int64_t channels);

  // One row of inputs and one of outputs: sums[k][c] += Σ_j x[j·x_step + at[k]][c] · y[j][c].
  void (*kernel_gradient)(const float* x, const float* y, float* sums, int64_t taps,
                          const int64_t* at, int64_t size, int64_t x_step, int64_t count,
                          int64_t channels);
};

struct WinogradLoops {
  int64_t lanes;  // the least number of channels

  // The 36 points of a tile of 6×6 inputs: points[p·step + c], and those of 4×4 cotangents.
  void (*inputs)(const float* const* pixels, int64_t channels, float* points, int64_t step);
  void (*cotangents)(const float* const* pixels, int64_t channels, float* points, int64_t step);

  // Those of 3×3 weights taps[t·taps_step + c], of `count` pairs of channels.
  void (*weights)(const float* taps, int64_t taps_step, int64_t count, float* points,
                  int64_t step);

  // 4×4 outputs of the products at the points; pixels that are null are left out.
  void (*outputs)(const float* points, int64_t step, int64_t features, float* const* pixels);

  // The gradients of 3×3 weights of the sums at the points, which are in `parts`.
  void (*kernel_gradient)(const float* points, int64_t step, int64_t parts, int64_t parts_step,
                          int64_t features, float* taps, int64_t taps_step);
};

#define JAXCNN_JOIN_NAMES(a, b) a##b
#define JAXCNN_JOIN(a, b) JAXCNN_JOIN_NAMES(a, b)
#define JAXCNN_DECLARE_LOOPS(set)                     \
  extern "C" const DenseLoops* dense_loops_##set();   \
  extern "C" const NarrowLoops* narrow_loops_##set(); \
  extern "C" const DepthwiseLoops* depthwise_loops_##set(); \
  extern "C" const WinogradLoops* winograd_loops_##set();

JAXCNN_DECLARE_LOOPS(baseline)
JAXCNN_DECLARE_LOOPS(avx2)
JAXCNN_DECLARE_LOOPS(avx512)
