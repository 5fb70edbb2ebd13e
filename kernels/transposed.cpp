// The transposed convolution, or gradient with respect to the input, from dy
// and the filter where they lie: nothing is flipped, packed or gathered. It is
// for little work, and for dy of one channel; see src/gradientPlan.ts.
#define IM2WIN_FEW IM2WIN_INLINE
#include "gradient_rows.h"

// to[0, count) += x * from[0, count).
IM2WIN_NOINLINE void addRun(float* to, const float* from, float x,
                            int32_t count) {
  const f32x4 xs = splat(x);
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    IM2WIN_UNROLL for (int v = 0; v < 16; v += 4) {
      store(to + i + v, mulAdd(xs, load(from + i + v), load(to + i + v)));
    }
  }
  for (; i + 4 <= count; i += 4) {
    store(to + i, mulAdd(xs, load(from + i), load(to + i)));
  }
  if (i < count) {
    const uint32_t lanes = count - i;
    storeLanes(to + i,
               mulAdd(xs, loadLanes(from + i, lanes), loadLanes(to + i, lanes)),
               lanes);
  }
}

// The pixels [first, last) of a side of dy that see position `at` of the input,
// which counts from the padding's edge: pixel p by tap at - p * stride.
IM2WIN_INLINE Range pixelsSeeing(int32_t at, int32_t stride, int32_t taps,
                                 int32_t size) {
  const int32_t before = at - taps;
  return {before < 0 ? 0 : before / stride + 1,
          at < 0 ? 0 : least(size, at / stride + 1)};
}

// Row h of the input, from dy of one channel: a pixel of dy times a filter row
// is a run of the input, of all its columns and channels.
IM2WIN_NOINLINE void rowOfRuns(const ConvJob* job, const float* dy, float* to,
                               int32_t h) {
  const int32_t inChannels = job->inChannels;
  const int32_t rowFloats = job->inWidth * inChannels;
  const int32_t tapFloats = job->filterWidth * inChannels;
  const int32_t step = job->strideWidth * inChannels;
  clear(to, rowFloats);
  const Range rows =
      pixelsSeeing(h, job->strideHeight, job->filterHeight, job->outHeight);
  for (int32_t row = rows.first; row < rows.last; ++row) {
    const float* taps = job->filter + (h - row * job->strideHeight) * tapFloats;
    const float* values = dy + row * job->outWidth;
    int32_t at = -job->padLeft * inChannels;
    for (int32_t pixel = 0; pixel < job->outWidth; ++pixel) {
      const int32_t first = most(0, -at);
      const int32_t last = least(tapFloats, rowFloats - at);
      if (first < last) {
        addRun(to + at + first, taps + first, values[pixel], last - first);
      }
      at += step;
    }
  }
}

// Channels [channel, channel + 4) of pixel (h, w) of the input, as far as there
// are any: each a product of vectors of dy's channels with the filter's.
IM2WIN_NOINLINE void fourChannels(const ConvJob* job, const float* dy,
                                  float* to, int32_t h, int32_t w,
                                  int32_t channel) {
  const uint32_t depth = job->outChannels;
  const uint32_t whole = depth & ~3u;
  const uint32_t lanes = least(4, job->inChannels - channel);
  const int32_t tapFloats = job->inChannels * depth;
  // In the place of a channel that is not there the first is computed again.
  const uint32_t second = lanes > 1 ? depth : 0;
  const uint32_t third = lanes > 2 ? 2 * depth : 0;
  const uint32_t fourth = lanes > 3 ? 3 * depth : 0;
  f32x4 sums[4];
  IM2WIN_UNROLL for (int i = 0; i < 4; ++i) sums[i] = splat(0.0f);
  const auto add = [&](f32x4 x, f32x4 a, f32x4 b, f32x4 c, f32x4 d)
                       __attribute__((always_inline)) {
                         sums[0] = mulAdd(x, a, sums[0]);
                         sums[1] = mulAdd(x, b, sums[1]);
                         sums[2] = mulAdd(x, c, sums[2]);
                         sums[3] = mulAdd(x, d, sums[3]);
                       };
  const Range rows =
      pixelsSeeing(h, job->strideHeight, job->filterHeight, job->outHeight);
  const Range columns =
      pixelsSeeing(w, job->strideWidth, job->filterWidth, job->outWidth);
  for (int32_t row = rows.first; row < rows.last; ++row) {
    const int32_t tapRow = (h - row * job->strideHeight) * job->filterWidth;
    for (int32_t column = columns.first; column < columns.last; ++column) {
      const float* x = dy + (row * job->outWidth + column) * depth;
      const float* tap = job->filter +
                         (tapRow + w - column * job->strideWidth) * tapFloats +
                         channel * depth;
      for (uint32_t k = 0; k < whole; k += 4) {
        add(load(x + k), load(tap + k), load(tap + k + second),
            load(tap + k + third), load(tap + k + fourth));
      }
      if (whole != depth) {
        const uint32_t rest = depth - whole;
        tap += whole;
        add(loadLanes(x + whole, rest), loadLanes(tap, rest),
            loadLanes(tap + second, rest), loadLanes(tap + third, rest),
            loadLanes(tap + fourth, rest));
      }
    }
  }
  transpose(sums);
  const f32x4 both = wasm_f32x4_add(sums[0], sums[1]);
  storeLanes(to, wasm_f32x4_add(both, wasm_f32x4_add(sums[2], sums[3])), lanes);
}

// Computes tasks `first` to `last` (less one) of the input's gradient, [batch,
// inHeight, inWidth, inChannels], from dy, [batch, outHeight, outWidth,
// outChannels], and the filter, [filterHeight, filterWidth, inChannels,
// outChannels]: a task is one row.
IM2WIN_EXPORT(im2win_transposed)
void im2win_transposed(const ConvJob* job, uint32_t first, uint32_t last) {
  const int32_t inChannels = job->inChannels;
  for (uint32_t task = first; task < last; ++task) {
    const int32_t image = task / job->inHeight;
    const int32_t h = task - image * job->inHeight + job->padTop;
    const float* dy =
        job->dy + image * job->outHeight * job->outWidth * job->outChannels;
    float* to = job->output + task * job->inWidth * inChannels;
    if (job->outChannels == 1) {
      rowOfRuns(job, dy, to, h);
      continue;
    }
    for (int32_t w = 0; w < job->inWidth; ++w) {
      for (int32_t channel = 0; channel < inChannels; channel += 4) {
        fourChannels(job, dy, to + channel, h, w + job->padLeft, channel);
      }
      to += inChannels;
    }
  }
}
