// Memory for float32 values that begins at a multiple of 64 bytes, the widest vector and a line of
// the cache: loads that cross a line cost twice.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t size)
      : values_(static_cast<float*>(::operator new(size * sizeof(float), kAlignment))) {}

  static Memory zeros(int64_t size) {
    Memory made(size);
    std::memset(made.get(), 0, size * sizeof(float));
    return made;
  }

  float* get() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(float* values) const { ::operator delete(values, kAlignment); }
  };
  std::unique_ptr<float, Delete> values_;
};
