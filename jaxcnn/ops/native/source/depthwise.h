// Convolutions with one channel in each group, and their gradients.
#pragma once
#include "geometry.h"
#include "threads.h"

// The convolution or its input gradient. The result does not depend on the number of threads.
void depthwise(xla::ffi::ThreadPool& pool, const Convolution& c, bool input_gradient,
               const float* source, const float* kernel, float* target);

void depthwise_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                               const float* y, float* kernel);
