// The gradient of a max pooling by its input, NHWC: what dy has at an output
// goes to the first, by rows, of the largest values of that output's window. A
// job is a record (pool_gradient.def).
#include "task.h"

struct PoolGradientJob {
#define FIELD(type, name) type name;
#include "pool_gradient.def"
#undef FIELD
};

// Channels that a task takes together: those of a cache line.
static const uint32_t kGroup = 16;

// One axis of a window, as far as it lies in the image.
IM2WIN_INLINE Share insideOf(int32_t output, int32_t stride, int32_t pad,
                             int32_t filter, int32_t size) {
  const int32_t first = output * stride - pad;
  const int32_t last = most(least(first + filter, size), 0);
  return {uint32_t(most(first, 0)), uint32_t(last)};
}

// Up to four channels of one window. The values of `x` and `output` are those
// of the image's first pixel.
IM2WIN_INLINE void backOf(const PoolGradientJob* job, const float* x, f32x4 dy,
                          float* output, Share rows, Share columns,
                          uint32_t lanes) {
  const uint32_t channels = job->channels;
  const uint32_t width = job->inWidth;
  f32x4 largest = splat(-__builtin_inff());
  v128_t place = wasm_i32x4_splat(-1);
  for (uint32_t row = rows.first; row < rows.last; ++row) {
    for (uint32_t column = columns.first; column < columns.last; ++column) {
      const uint32_t pixel = row * width + column;
      const f32x4 v = loadLanes(x + pixel * channels, lanes);
      const v128_t isLarger = wasm_f32x4_gt(v, largest);
      largest = wasm_v128_bitselect(v, largest, isLarger);
      place = wasm_v128_bitselect(wasm_i32x4_splat(pixel), place, isLarger);
    }
  }
  for (uint32_t row = rows.first; row < rows.last; ++row) {
    for (uint32_t column = columns.first; column < columns.last; ++column) {
      const uint32_t pixel = row * width + column;
      const v128_t isHere = wasm_i32x4_eq(place, wasm_i32x4_splat(pixel));
      float* to = output + pixel * channels;
      const f32x4 sum =
          wasm_f32x4_add(loadLanes(to, lanes), wasm_v128_and(dy, isHere));
      storeLanes(to, sum, lanes);
    }
  }
}

// Some channels, from the one that the pointers are at, of one image.
IM2WIN_SMALL void backOfImage(const PoolGradientJob* job, const float* x,
                              const float* dy, float* output, uint32_t count) {
  const uint32_t channels = job->channels;
  const uint32_t pixels = job->inHeight * job->inWidth;
  for (uint32_t pixel = 0; pixel < pixels; ++pixel) {
    for (uint32_t c = 0; c < count; ++c) output[pixel * channels + c] = 0;
  }
  for (int32_t row = 0; row < job->outHeight; ++row) {
    const Share rows = insideOf(row, job->strideHeight, job->padTop,
                                job->filterHeight, job->inHeight);
    for (int32_t column = 0; column < job->outWidth; ++column) {
      const Share columns = insideOf(column, job->strideWidth, job->padLeft,
                                     job->filterWidth, job->inWidth);
      for (uint32_t c = 0; c < count; c += 4) {
        const uint32_t lanes = least(count - c, 4u);
        backOf(job, x + c, loadLanes(dy + c, lanes), output + c, rows, columns,
               lanes);
      }
      dy += channels;
    }
  }
}

// Computes tasks `first` to `last` (less one).
IM2WIN_EXPORT(im2win_pool_gradient)
void im2win_pool_gradient(const PoolGradientJob* job, uint32_t first,
                          uint32_t last) {
  const uint32_t channels = job->channels;
  const uint32_t groups = (channels + kGroup - 1) / kGroup;
  const uint32_t inValues = job->inHeight * job->inWidth * channels;
  const uint32_t outValues = job->outHeight * job->outWidth * channels;
  for (uint32_t task = first; task < last; ++task) {
    const Share share = shareOf(job->batchSize * groups, 1, task, job->tasks);
    for (uint32_t i = share.first; i < share.last; ++i) {
      const uint32_t image = i / groups;
      const uint32_t c = (i - image * groups) * kGroup;
      backOfImage(
          job, job->x + image * inValues + c, job->dy + image * outValues + c,
          job->output + image * inValues + c, least(channels - c, kGroup));
    }
  }
}
