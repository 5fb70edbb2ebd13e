// The gradients of a depthwise convolution. They are bound by memory more than
// by arithmetic, and written for every geometry alike: vectors of four channels
// where the multiplier is 1, one channel at a time elsewhere.
#define IM2WIN_FEW IM2WIN_INLINE
#include "gradient_rows.h"

// The first tap at `offset` or behind it.
IM2WIN_INLINE int32_t firstTap(int32_t offset, int32_t dilation) {
  return offset <= 0 ? 0 : (offset + dilation - 1) / dilation;
}

// The input channels of a depthwise convolution, and the filters of each.
struct Depthwise {
  uint32_t inChannels;
  uint32_t multiplier;
};

// One side of the gradient with respect to an input pixel: its place, counted
// from the padding's corner (cropped ones are below zero), and the side of the
// convolution.
struct GradientSide {
  int32_t at;
  int32_t outputs;
  int32_t taps;
  int32_t stride;
  int32_t dilation;
};

// The taps [first, last) of a side that reach dy. A stride lets some of them
// see no pixel of it.
IM2WIN_INLINE Range tapsOnto(GradientSide side) {
  return {
      firstTap(side.at - (side.outputs - 1) * side.stride, side.dilation),
      side.at < 0 ? 0 : least(side.taps, side.at / side.dilation + 1),
  };
}

IM2WIN_NOINLINE void inputPixel(float* to, const float* dy, const float* filter,
                                Depthwise channels, GradientSide down,
                                GradientSide across) {
  const uint32_t inChannels = channels.inChannels;
  const uint32_t multiplier = channels.multiplier;
  const uint32_t outChannels = inChannels * multiplier;
  for (uint32_t n = 0; n < inChannels; n += 4) {
    storeLanes(to + n, splat(0.0f), inChannels - n);
  }
  const Range rows = tapsOnto(down);
  const Range columns = tapsOnto(across);
  for (int32_t kh = rows.first; kh < rows.last; ++kh) {
    const int32_t h = down.at - kh * down.dilation;
    const int32_t row = h / down.stride;
    if (row * down.stride != h) continue;
    for (int32_t kw = columns.first; kw < columns.last; ++kw) {
      const int32_t w = across.at - kw * across.dilation;
      const int32_t pixel = w / across.stride;
      if (pixel * across.stride != w) continue;
      const float* from = dy + (row * across.outputs + pixel) * outChannels;
      const float* tap = filter + (kh * across.taps + kw) * outChannels;
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
  const Depthwise channels = {uint32_t(job->inChannels),
                              uint32_t(job->multiplier)};
  for (uint32_t row = first; row < last; ++row) {
    const int32_t image = row / job->inHeight;
    const int32_t h = row - image * job->inHeight;
    const float* dy =
        job->dy + image * job->outHeight * job->outWidth * job->outChannels;
    float* to = job->output + row * job->inWidth * job->inChannels;
    const GradientSide down = {h + job->padTop, job->outHeight,
                               job->filterHeight, job->strideHeight,
                               job->dilationHeight};
    for (int32_t w = 0; w < job->inWidth; ++w) {
      inputPixel(to, dy, job->filter, channels, down,
                 {w + job->padLeft, job->outWidth, job->filterWidth,
                  job->strideWidth, job->dilationWidth});
      to += job->inChannels;
    }
  }
}

// One tap's gradient: the sum over the pixels of the channels' products, added
// to `gradient`.
IM2WIN_NOINLINE void filterTap(float* gradient, PixelPairs p,
                               Depthwise channels) {
  const uint32_t inChannels = channels.inChannels;
  const uint32_t multiplier = channels.multiplier;
  for (uint32_t r = 0; r < p.rows; ++r) {
    for (uint32_t pixel = 0; pixel < p.pixels; ++pixel) {
      const float* value = p.x + r * p.xRow + pixel * p.xPixel;
      const float* from = p.dy + r * p.dyRow + pixel * p.dyPixel;
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
          const Range down =
              insideOf(h, job->strideHeight, rows.in.count, rows.outRows);
          if (down.first >= down.last) return;
          const Range seen =
              tapsSeen(job->padLeft, job->strideWidth, job->dilationWidth,
                       job->filterWidth, inWidth, outWidth);
          for (int32_t kw = seen.first; kw < seen.last; ++kw) {
            const int32_t w = kw * job->dilationWidth - job->padLeft;
            const Range across =
                insideOf(w, job->strideWidth, inWidth, outWidth);
            if (down.first >= down.last || across.first >= across.last)
              continue;
            const int32_t row = down.first * job->strideHeight + h;
            const int32_t column = across.first * job->strideWidth + w;
            const int32_t dyPixel = down.first * outWidth + across.first;
            PixelPairs pixels;
            pixels.x = rows.x + (row * inWidth + column) * inChannels;
            pixels.dy = rows.dy + dyPixel * outChannels;
            pixels.rows = down.last - down.first;
            pixels.pixels = across.last - across.first;
            pixels.xPixel = job->strideWidth * inChannels;
            pixels.xRow = job->strideHeight * inWidth * inChannels;
            pixels.dyPixel = outChannels;
            pixels.dyRow = outWidth * outChannels;
            filterTap(gradient + kw * outChannels, pixels,
                      {uint32_t(inChannels), uint32_t(job->multiplier)});
          }
        });
  }
}
