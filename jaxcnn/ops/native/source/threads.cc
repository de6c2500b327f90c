#include "threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include "memory.h"

// ThreadSanitizer does not see the locks of XLA's queue, which hands work to a thread.
#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace {

void hand_over([[maybe_unused]] void* work) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(work);
#endif
}

void receive([[maybe_unused]] void* work) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(work);
#endif
}

// The state of one call of `parallel`. It outlives the call where a thread of the pool starts
// only after all items are done; such a thread finds no item and does not touch `run`.
struct Progress {
  const std::function<void(int64_t)>& run;
  const int64_t items;
  std::atomic<int64_t> next{0}, done{0};
  std::mutex mutex;
  std::condition_variable finished;
  std::exception_ptr failure;

  Progress(int64_t items, const std::function<void(int64_t)>& run) : run(run), items(items) {}

  void work() {
    for (int64_t item; (item = next.fetch_add(1)) < items;) {
      try {
        run(item);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!failure) failure = std::current_exception();
      }
      if (done.fetch_add(1) + 1 == items) {
        const std::lock_guard<std::mutex> lock(mutex);
        finished.notify_all();
      }
    }
  }

  void wait() {
    // The last items usually end within microseconds of each other, less than it takes to sleep
    // and to be woken.
    for (int turn = 0; turn < 200 && done.load() < items; ++turn) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(mutex);
    finished.wait(lock, [this] { return done.load() == items; });
  }
};

}  // namespace

int64_t threads(const xla::ffi::ThreadPool& pool) {
  return std::max<int64_t>(1, pool.num_threads());
}

void parallel(xla::ffi::ThreadPool& pool, int64_t items, const std::function<void(int64_t)>& run) {
  const int64_t helpers = std::min(items, threads(pool)) - 1;
  if (helpers <= 0) {
    for (int64_t item = 0; item < items; ++item) run(item);
    return;
  }
  // The caller takes part and waits only for items that another thread has begun, so that a pool
  // whose every thread waits here still goes on.
  const auto progress = std::make_shared<Progress>(items, run);
  hand_over(progress.get());
  for (int64_t helper = 0; helper < helpers; ++helper) {
    try {
      pool.Schedule([progress] {
        receive(progress.get());
        progress->work();
      });
    } catch (const std::bad_alloc&) {
      break;  // The threads that could be started do all the work.
    }
  }
  progress->work();
  progress->wait();
  if (progress->failure) std::rethrow_exception(progress->failure);
}

float* scratch(int which, int64_t size) {
  thread_local struct {
    Memory memory;
    int64_t size = 0;
  } kept[4];
  auto& one = kept[which];
  if (one.size < size) {
    one.size = 0;
    one.memory = Memory();  // before the new memory is taken
    one.memory = Memory(size);
    one.size = size;
  }
  return one.memory.get();
}
