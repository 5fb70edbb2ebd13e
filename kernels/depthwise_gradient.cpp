// The gradients of a depthwise convolution. They are bound by memory more than
// by arithmetic, and written for every geometry alike: vectors of four channels
// where the multiplier is 1, one channel at a time elsewhere.
#include "gradient_rows.h"

// The first tap at `offset` or behind it.
IM2WIN_INLINE int32_t firstTap(int32_t offset, int32_t dilation) {
  return offset <= 0 ? 0 : (offset + dilation - 1) / dilation;
}

IM2WIN_NOINLINE void inputPixel(float* to, const float* dy, const float* filter,
                                int32_t h, int32_t w, uint32_t inChannels,
                                uint32_t multiplier, int32_t outHeight,
                                int32_t outWidth, int32_t filterHeight,
                                int32_t filterWidth, int32_t strideHeight,
                                int32_t strideWidth, int32_t dilationHeight,
                                int32_t dilationWidth) {
  const uint32_t outChannels = inChannels * multiplier;
  for (uint32_t n = 0; n < inChannels; n += 4) {
    storeLanes(to + n, splat(0.0f), inChannels - n);
  }
  // Here h and w count from the padding's corner, and cropped ones are below
  // zero. Taps beyond these see no pixel of dy.
  const int32_t bottom =
      h < 0 ? 0 : least(filterHeight, h / dilationHeight + 1);
  const int32_t right = w < 0 ? 0 : least(filterWidth, w / dilationWidth + 1);
  const int32_t top =
      firstTap(h - (outHeight - 1) * strideHeight, dilationHeight);
  const int32_t left =
      firstTap(w - (outWidth - 1) * strideWidth, dilationWidth);
  for (int32_t kh = top; kh < bottom; ++kh) {
    const int32_t row = (h - kh * dilationHeight) / strideHeight;
    if (row * strideHeight != h - kh * dilationHeight) continue;
    for (int32_t kw = left; kw < right; ++kw) {
      const int32_t pixel = (w - kw * dilationWidth) / strideWidth;
      if (pixel * strideWidth != w - kw * dilationWidth) continue;
      const float* from = dy + (row * outWidth + pixel) * outChannels;
      const float* tap = filter + (kh * filterWidth + kw) * outChannels;
      uint32_t n = 0;
      if (multiplier == 1) {
        for (; n + 4 <= inChannels; n += 4) {
          store(to + n, mulAdd(load(from + n), load(tap + n), load(to + n)));
        }
      }
      for (; n < inChannels; ++n) {
        for (uint32_t m = n * multiplier; m < (n + 1) * multiplier; ++m) {
          to[n] += from[m] * tap[m];
        }
      }
    }
  }
}

// Computes tasks `first` to `last` (less one) of the gradient with respect to
// the input, [batch, inHeight, inWidth, inChannels], from dy, [batch,
// outHeight, outWidth, inChannels * multiplier], and the filter, [filterHeight,
// filterWidth, inChannels, multiplier]: a task is one row.
IM2WIN_EXPORT(im2win_depthwise_gradient_input)
void im2win_depthwise_gradient_input(const ConvJob* job, uint32_t first,
                                     uint32_t last) {
  const int32_t inChannels = job->inChannels;
  for (uint32_t row = first; row < last; ++row) {
    const int32_t image = row / job->inHeight;
    const int32_t h = row - image * job->inHeight;
    const float* dy =
        job->dy + image * job->outHeight * job->outWidth * job->outChannels;
    float* to = job->output + row * job->inWidth * inChannels;
    for (int32_t w = 0; w < job->inWidth; ++w) {
      inputPixel(to, dy, job->filter, h + job->padTop, w + job->padLeft,
                 inChannels, job->multiplier, job->outHeight, job->outWidth,
                 job->filterHeight, job->filterWidth, job->strideHeight,
                 job->strideWidth, job->dilationHeight, job->dilationWidth);
      to += inChannels;
    }
  }
}

// One tap's gradient: the sum over all output pixels [top, bottom) x [left,
// right) of the channels' products, added to `gradient`.
IM2WIN_NOINLINE void filterTap(float* gradient, const float* x, const float* dy,
                               uint32_t rows, uint32_t pixels, uint32_t xPixel,
                               uint32_t xRow, uint32_t dyRow,
                               uint32_t inChannels, uint32_t multiplier) {
  const uint32_t outChannels = inChannels * multiplier;
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t pixel = 0; pixel < pixels; ++pixel) {
      const float* value = x + r * xRow + pixel * xPixel;
      const float* from = dy + r * dyRow + pixel * outChannels;
      uint32_t n = 0;
      if (multiplier == 1) {
        for (; n + 4 <= inChannels; n += 4) {
          store(gradient + n,
                mulAdd(load(value + n), load(from + n), load(gradient + n)));
        }
      }
      for (; n < inChannels; ++n) {
        for (uint32_t m = n * multiplier; m < (n + 1) * multiplier; ++m) {
          gradient[m] += value[n] * from[m];
        }
      }
    }
  }
}

// Computes tasks `first` to `last` (less one) of the gradient with respect to
// the filter, [filterHeight, filterWidth, inChannels, multiplier]: a task is
// one filter row.
IM2WIN_EXPORT(im2win_depthwise_gradient_filter)
void im2win_depthwise_gradient_filter(const ConvJob* job, uint32_t first,
                                      uint32_t last, float* at) {
  const int32_t inWidth = job->inWidth;
  const int32_t inChannels = job->inChannels;
  const int32_t outWidth = job->outWidth;
  const int32_t outChannels = job->outChannels;
  for (uint32_t kh = first; kh < last; ++kh) {
    float* gradient = job->output + kh * job->filterWidth * outChannels;
    clear(gradient, job->filterWidth * outChannels);
    forEachRows(
        job, at, [&](const ImageRows& rows) __attribute__((always_inline)) {
          const int32_t h = int32_t(kh) * rows.in.dilation - rows.in.padTop;
          const Inside down =
              insideOf(h, job->strideHeight, rows.in.count, rows.outRows);
          if (down.first >= down.last) return;
          const Inside seen =
              tapsSeen(job->padLeft, job->strideWidth, job->dilationWidth,
                       job->filterWidth, inWidth, outWidth);
          for (int32_t kw = seen.first; kw < seen.last; ++kw) {
            const int32_t w = kw * job->dilationWidth - job->padLeft;
            const Inside across =
                insideOf(w, job->strideWidth, inWidth, outWidth);
            if (down.first >= down.last || across.first >= across.last)
              continue;
            filterTap(
                gradient + kw * outChannels,
                rows.x + ((down.first * job->strideHeight + h) * inWidth +
                          across.first * job->strideWidth + w) *
                             inChannels,
                rows.dy + (down.first * outWidth + across.first) * outChannels,
                down.last - down.first, across.last - across.first,
                job->strideWidth * inChannels,
                job->strideHeight * inWidth * inChannels,
                outWidth * outChannels, inChannels, job->multiplier);
          }
        });
  }
}
