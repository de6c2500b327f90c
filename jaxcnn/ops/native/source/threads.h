// Work on the threads that XLA lends to a call.
#pragma once
#include <cstdint>
#include <functional>

#include "xla/ffi/api/ffi.h"

// Number of threads that work on a call, at least 1.
int64_t threads(const xla::ffi::ThreadPool& pool);

// Calls run(0), …, run(items − 1), each once and in any order. Throws the first exception that one
// of them throws.
void parallel(xla::ffi::ThreadPool& pool, int64_t items, const std::function<void(int64_t)>& run);

// Pieces of memory of at least `size` values each that a thread keeps from one call to the next;
// `which` is 0 to 3. Their contents are arbitrary.
float* scratch(int which, int64_t size);
