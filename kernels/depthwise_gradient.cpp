// The gradients of a depthwise convolution. They are bound by memory more than
// by arithmetic, and written for every geometry alike: vectors of four channels
// where the multiplier is 1, one channel at a time elsewhere.
#include "simd.h"

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
  // zero.
  for (int32_t kh = 0; kh < filterHeight; ++kh) {
    const int32_t row = (h - kh * dilationHeight) / strideHeight;
    if (h < kh * dilationHeight || row >= outHeight ||
        row * strideHeight != h - kh * dilationHeight) {
      continue;
    }
    for (int32_t kw = 0; kw < filterWidth; ++kw) {
      const int32_t pixel = (w - kw * dilationWidth) / strideWidth;
      if (w < kw * dilationWidth || pixel >= outWidth ||
          pixel * strideWidth != w - kw * dilationWidth) {
        continue;
      }
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

// Writes one image's gradient with respect to the input, [inHeight, inWidth,
// inChannels], from dy, [outHeight, outWidth, inChannels * multiplier], and the
// filter, [filterHeight, filterWidth, inChannels, multiplier].
IM2WIN_EXPORT(im2win_depthwise_gradient_input)
void im2win_depthwise_gradient_input(
    float* gradient, const float* dy, const float* filter, int32_t inHeight,
    int32_t inWidth, uint32_t inChannels, uint32_t multiplier,
    int32_t outHeight, int32_t outWidth, int32_t filterHeight,
    int32_t filterWidth, int32_t strideHeight, int32_t strideWidth,
    int32_t dilationHeight, int32_t dilationWidth, int32_t padTop,
    int32_t padLeft) {
  for (int32_t h = 0; h < inHeight; ++h) {
    for (int32_t w = 0; w < inWidth; ++w) {
      inputPixel(gradient, dy, filter, h + padTop, w + padLeft, inChannels,
                 multiplier, outHeight, outWidth, filterHeight, filterWidth,
                 strideHeight, strideWidth, dilationHeight, dilationWidth);
      gradient += inChannels;
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

// Adds one image's part of the gradient with respect to the filter,
// [filterHeight, filterWidth, inChannels, multiplier].
IM2WIN_EXPORT(im2win_depthwise_gradient_filter)
void im2win_depthwise_gradient_filter(
    float* gradient, const float* x, const float* dy, int32_t inHeight,
    int32_t inWidth, uint32_t inChannels, uint32_t multiplier,
    int32_t outHeight, int32_t outWidth, int32_t filterHeight,
    int32_t filterWidth, int32_t strideHeight, int32_t strideWidth,
    int32_t dilationHeight, int32_t dilationWidth, int32_t padTop,
    int32_t padLeft) {
  const uint32_t outChannels = inChannels * multiplier;
  for (int32_t kh = 0; kh < filterHeight; ++kh) {
    const int32_t h = kh * dilationHeight - padTop;
    int32_t top = 0;
    while (top < outHeight && top * strideHeight + h < 0) ++top;
    int32_t bottom = outHeight;
    while (bottom > top && (bottom - 1) * strideHeight + h >= inHeight) {
      --bottom;
    }
    for (int32_t kw = 0; kw < filterWidth; ++kw) {
      const int32_t w = kw * dilationWidth - padLeft;
      int32_t left = 0;
      while (left < outWidth && left * strideWidth + w < 0) ++left;
      int32_t right = outWidth;
      while (right > left && (right - 1) * strideWidth + w >= inWidth) --right;
      if (top < bottom && left < right) {
        filterTap(
            gradient,
            x + ((top * strideHeight + h) * inWidth + left * strideWidth + w) *
                    int32_t(inChannels),
            dy + (top * outWidth + left) * int32_t(outChannels), bottom - top,
            right - left, strideWidth * inChannels,
            strideHeight * inWidth * inChannels, outWidth * outChannels,
            inChannels, multiplier);
      }
      gradient += outChannels;
    }
  }
}
