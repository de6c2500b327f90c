// The functions that XLA calls.
#include <new>

#include "dense.h"
#include "depthwise.h"
#include "geometry.h"
#include "winograd.h"

namespace ffi = xla::ffi;

namespace {

using Floats = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

template <typename Run>
ffi::Error guarded(const Run& run) {
  try {
    run();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "a convolution is out of memory");
  } catch (const std::exception& failure) {
    return ffi::Error(ffi::ErrorCode::kInternal, failure.what());
  }
  return ffi::Error::Success();
}

// The convolution, from x to y, or its input gradient, from y to x.
template <bool input_gradient>
ffi::Error map_images(ffi::ThreadPool pool, Sizes strides, Sizes low, Sizes dilation,
                      int64_t groups, bool by_winograd, Floats source, Floats kernel,
                      Result target) {
  return guarded([&] {
    const Sizes from = source.dimensions(), to = target->dimensions();
    const Convolution c(input_gradient ? to : from, kernel.dimensions(),
                        input_gradient ? from : to, strides, low, dilation, groups);
    const auto run = by_winograd ? winograd : c.depthwise() ? depthwise : dense;
    run(pool, c, input_gradient, source.typed_data(), kernel.typed_data(), target->typed_data());
  });
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, Sizes strides, Sizes low, Sizes dilation,
                           int64_t groups, bool by_winograd, Floats x, Floats y, Result kernel) {
  return guarded([&] {
    const Convolution c(x.dimensions(), kernel->dimensions(), y.dimensions(), strides, low,
                        dilation, groups);
    const auto run = by_winograd     ? winograd_kernel_gradient
                     : c.depthwise() ? depthwise_kernel_gradient
                                     : dense_kernel_gradient;
    run(pool, c, x.typed_data(), y.typed_data(), kernel->typed_data());
  });
}

auto binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Attr<Sizes>("strides")
      .Attr<Sizes>("low")
      .Attr<Sizes>("dilation")
      .Attr<int64_t>("groups")
      .Attr<bool>("winograd")
      .Arg<Floats>()
      .Arg<Floats>()
      .Ret<Floats>();
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(conv, map_images<false>, binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(conv_input_gradient, map_images<true>, binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(conv_kernel_gradient, kernel_gradient, binding());
#pragma GCC visibility pop
