// Convolutions with 3×3 weights along the last two axes by Winograd's method, and their gradients:
// a tile of 4×4 outputs takes 36 products for each pair of channels in place of 144.
//
// Strides are 1, and a group has 16 inputs and outputs or more.
#pragma once
#include "geometry.h"
#include "threads.h"

// The convolution or its input gradient. The result does not depend on the number of threads.
void winograd(xla::ffi::ThreadPool& pool, const Convolution& c, bool input_gradient,
              const float* source, const float* kernel, float* target);

void winograd_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                              const float* y, float* kernel);
