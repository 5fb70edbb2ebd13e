// The gradient of a convolution with respect to its filter: a matrix product
// whose depth is the output's pixels. (That with respect to the input is
// convolutions of dy: see src/gradientPlan.ts.)
#define IM2WIN_FEW IM2WIN_INLINE
#include "gradient_rows.h"

// Adds the sums over all pixels of x times dy to MR rows of the filter's
// gradient, `stride` floats apart, 4 * NV output channels of each.
template <int MR, int NV>
IM2WIN_NOINLINE void gradientTile(float* gradient, PixelPairs p,
                                  uint32_t stride) {
  f32x4 sum[MR][NV];
  IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
    IM2WIN_UNROLL for (int v = 0; v < NV; ++v) sum[i][v] = splat(0.0f);
  }
  for (; p.rows != 0; --p.rows) {
    const float* value = p.x;
    const float* b = p.dy;
    for (uint32_t pixel = p.pixels; pixel != 0; --pixel) {
      f32x4 row[NV];
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) row[v] = load(b + 4 * v);
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        const f32x4 a = loadSplat(value + i);
        IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
          sum[i][v] = mulAdd(a, row[v], sum[i][v]);
          pin(sum[i][v]);
        }
      }
      value += p.xPixel;
      b += p.dyPixel;
    }
    p.x += p.xRow;
    p.dy += p.dyRow;
  }
  IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
    IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
      float* to = gradient + i * stride + 4 * v;
      store(to, wasm_f32x4_add(load(to), sum[i][v]));
    }
  }
}

// The same for `channels` input channels and the `width` (1 to 3) output
// channels that fill no vector.
IM2WIN_NOINLINE void gradientRest(float* gradient, PixelPairs p,
                                  uint32_t stride, uint32_t channels,
                                  uint32_t width) {
  for (uint32_t i = 0; i < channels; ++i) {
    f32x4 sum = splat(0.0f);
    for (uint32_t r = 0; r < p.rows; ++r) {
      const float* value = p.x + r * p.xRow + i;
      const float* b = p.dy + r * p.dyRow;
      for (uint32_t pixel = p.pixels; pixel != 0; --pixel) {
        sum = mulAdd(loadSplat(value), loadLanes(b, width), sum);
        value += p.xPixel;
        b += p.dyPixel;
      }
    }
    float* to = gradient + i * stride;
    storeLanes(to, wasm_f32x4_add(loadLanes(to, width), sum), width);
  }
}

template <int NV>
IM2WIN_INLINE void gradientTileOf(uint32_t mr, float* gradient, PixelPairs p,
                                  uint32_t stride) {
#define IM2WIN_TILE(MR)                                             \
  if constexpr (MR <= kGradientMR) {                                \
    if (mr == MR) return gradientTile<MR, NV>(gradient, p, stride); \
  }
  IM2WIN_TILE(1)
  IM2WIN_TILE(2)
  IM2WIN_TILE(3)
  IM2WIN_TILE(4)
  IM2WIN_TILE(5)
  IM2WIN_TILE(6)
#undef IM2WIN_TILE
}

static_assert(kGradientMR <= 6, "gradientTileOf has no higher tiles");

// The part of one filter row and of input channels [first, last), from rows of
// an image and of dy.
IM2WIN_INLINE void filterRow(const ConvJob* job, const ImageRows& rows,
                             int32_t kh, uint32_t first, uint32_t last) {
  const int32_t outWidth = job->outWidth;
  const uint32_t inChannels = job->inChannels;
  const uint32_t outChannels = job->outChannels;
  const int32_t blockRows = (kGradientPixels + outWidth - 1) / outWidth;
  const uint32_t xPixel = job->strideWidth * inChannels;
  const uint32_t xRow = job->strideHeight * job->inWidth * inChannels;
  const uint32_t dyRow = outWidth * outChannels;
  const Range down = insideOf(kh * rows.in.dilation - rows.in.padTop,
                              job->strideHeight, rows.in.count, rows.outRows);
  const Range seen =
      tapsSeen(job->padLeft, job->strideWidth, job->dilationWidth,
               job->filterWidth, job->inWidth, outWidth);
  for (int32_t block = 0; block < rows.outRows; block += blockRows) {
    const int32_t top = most(block, down.first);
    const int32_t bottom = least(block + blockRows, down.last);
    if (bottom <= top) continue;
    for (int32_t kw = seen.first; kw < seen.last; ++kw) {
      const int32_t w = kw * job->dilationWidth - job->padLeft;
      const Range across =
          insideOf(w, job->strideWidth, job->inWidth, outWidth);
      const int32_t left = across.first;
      const int32_t pixels = across.last - left;
      if (pixels <= 0) continue;
      const int32_t h = top * job->strideHeight + kh - rows.in.padTop;
      const float* xAt =
          rows.x + (h * job->inWidth + left * job->strideWidth + w) *
                       int32_t(inChannels);
      const float* dyAt =
          rows.dy + (top * outWidth + left) * int32_t(outChannels);
      float* tap =
          job->output + (kh * job->filterWidth + kw) * inChannels * outChannels;
      for (uint32_t ci = first; ci < last;) {
        const uint32_t channels =
            last - ci < kGradientMR ? last - ci : kGradientMR;
        float* to = tap + ci * outChannels;
        const auto from = [&](uint32_t n) __attribute__((always_inline)) {
          return PixelPairs{xAt + ci,         dyAt + n, uint32_t(bottom - top),
                            uint32_t(pixels), xPixel,   xRow,
                            outChannels,      dyRow};
        };
        uint32_t n = 0;
        for (; n + 4 * kGradientNV <= outChannels; n += 4 * kGradientNV) {
          gradientTileOf<kGradientNV>(channels, to + n, from(n), outChannels);
        }
        for (; n + 4 <= outChannels; n += 4) {
          gradientTileOf<1>(channels, to + n, from(n), outChannels);
        }
        if (n < outChannels) {
          gradientRest(to + n, from(n), outChannels, channels, outChannels - n);
        }
        ci += channels;
      }
    }
  }
}

// Writes zeros: on a shared memory faster than JavaScript does.
IM2WIN_EXPORT(im2win_clear)
void im2win_clear(float* to, uint32_t count) { clear(to, count); }

// Computes tasks `first` to `last` (less one) of the gradient with respect to
// the filter, [filterHeight, filterWidth, inChannels, outChannels]: a task is
// one filter row of `channelsPerTask` input channels. Its sums go through
// images and rows in their order, whatever the tasks are.
IM2WIN_EXPORT(im2win_gradient_filter)
void im2win_gradient_filter(const ConvJob* job, uint32_t first, uint32_t last,
                            float* at) {
  const uint32_t inChannels = job->inChannels;
  const uint32_t perRow =
      (inChannels + job->channelsPerTask - 1) / job->channelsPerTask;
  for (uint32_t task = first; task < last; ++task) {
    const int32_t kh = task / perRow;
    const uint32_t from = (task - kh * perRow) * job->channelsPerTask;
    const uint32_t to = least(inChannels, from + job->channelsPerTask);
    for (int32_t kw = 0; kw < job->filterWidth; ++kw) {
      clear(job->output + ((kh * job->filterWidth + kw) * inChannels + from) *
                              job->outChannels,
            (to - from) * job->outChannels);
    }
    forEachRows(job, at,
                [&](const ImageRows& rows) __attribute__((always_inline)) {
                  filterRow(job, rows, kh, from, to);
                });
  }
}
