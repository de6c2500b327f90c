// Convolutions whose groups have several channels, and their gradients.
//
// A table of the places that the pixels read and a table of offsets from there express the whole
// geometry: y[p, f] = Σ_k x[reads[p] + offsets[k]]·w[k, f], where k runs over taps and channels;
// the kernel gradient sums the same products over p.
#pragma once
#include "geometry.h"
#include "threads.h"

// The convolution or its input gradient. The result does not depend on the number of threads.
void dense(xla::ffi::ThreadPool& pool, const Convolution& c, bool input_gradient,
           const float* source, const float* kernel, float* target);

void dense_kernel_gradient(xla::ffi::ThreadPool& pool, const Convolution& c, const float* x,
                           const float* y, float* kernel);
