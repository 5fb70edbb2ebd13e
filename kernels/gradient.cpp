// The gradients of a convolution. With respect to the input it is convolutions
// of dy, one for each phase of the strides, with filters that are flipped and
// transposed here and packed like any other. With respect to the filter it is a
// matrix product whose depth is the output's pixels.
#include "simd.h"

// rows x columns taps of a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], as a filter of their own, [rows, columns, outChannels,
// channels]: its last tap is (firstRow, firstColumn), the one before it a step
// further. Its `channels` are those of one tap, or of several side by side.
IM2WIN_EXPORT(im2win_flip)
void im2win_flip(float* to, const float* filter, uint32_t filterWidth,
                 uint32_t inChannels, uint32_t outChannels, uint32_t firstRow,
                 uint32_t rowStep, uint32_t rows, uint32_t firstColumn,
                 uint32_t columnStep, uint32_t columns, uint32_t channels) {
  const uint32_t tapFloats = inChannels * outChannels;
  for (uint32_t row = rows; row-- != 0;) {
    for (uint32_t column = columns; column-- != 0;) {
      const float* tap = filter + ((firstRow + row * rowStep) * filterWidth +
                                   firstColumn + column * columnStep) *
                                      tapFloats;
      for (uint32_t ci = 0; ci < channels; ci += 4) {
        const uint32_t lanes = channels - ci;
        uint32_t co = 0;
        for (; lanes >= 4 && co + 4 <= outChannels; co += 4) {
          const float* from = tap + ci * outChannels + co;
          float* out = to + co * channels + ci;
          f32x4 v[4];
          IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
            v[i] = load(from + i * outChannels);
          }
          transpose(v);
          IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
            store(out + i * channels, v[i]);
          }
        }
        for (; co < outChannels; ++co) {
          for (uint32_t i = 0; i < lanes && i < 4; ++i) {
            to[co * channels + ci + i] = tap[(ci + i) * outChannels + co];
          }
        }
      }
      to += outChannels * channels;
    }
  }
}

// Adds the sums over all pixels of x times dy to MR rows of the filter's
// gradient, `stride` floats apart, 4 * NV output channels of each.
template <int MR, int NV>
IM2WIN_NOINLINE void gradientTile(float* gradient, const float* x,
                                  const float* dy, uint32_t rows,
                                  uint32_t pixels, uint32_t xPixel,
                                  uint32_t xRow, uint32_t dyPixel,
                                  uint32_t dyRow, uint32_t stride) {
  f32x4 sum[MR][NV];
  IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
    IM2WIN_UNROLL for (int v = 0; v < NV; ++v) sum[i][v] = splat(0.0f);
  }
  for (; rows != 0; --rows) {
    const float* value = x;
    const float* b = dy;
    for (uint32_t pixel = pixels; pixel != 0; --pixel) {
      f32x4 row[NV];
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) row[v] = load(b + 4 * v);
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        const f32x4 a = loadSplat(value + i);
        IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
          sum[i][v] = mulAdd(a, row[v], sum[i][v]);
          pin(sum[i][v]);
        }
      }
      value += xPixel;
      b += dyPixel;
    }
    x += xRow;
    dy += dyRow;
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
IM2WIN_NOINLINE void gradientRest(float* gradient, const float* x,
                                  const float* dy, uint32_t rows,
                                  uint32_t pixels, uint32_t xPixel,
                                  uint32_t xRow, uint32_t dyPixel,
                                  uint32_t dyRow, uint32_t stride,
                                  uint32_t channels, uint32_t width) {
  for (uint32_t i = 0; i < channels; ++i) {
    f32x4 sum = splat(0.0f);
    for (uint32_t r = 0; r < rows; ++r) {
      const float* value = x + r * xRow + i;
      const float* b = dy + r * dyRow;
      for (uint32_t pixel = pixels; pixel != 0; --pixel) {
        sum = mulAdd(loadSplat(value), loadLanes(b, width), sum);
        value += xPixel;
        b += dyPixel;
      }
    }
    float* to = gradient + i * stride;
    storeLanes(to, wasm_f32x4_add(loadLanes(to, width), sum), width);
  }
}

template <int NV>
IM2WIN_INLINE void gradientTileOf(uint32_t mr, float* gradient, const float* x,
                                  const float* dy, uint32_t rows,
                                  uint32_t pixels, uint32_t xPixel,
                                  uint32_t xRow, uint32_t dyPixel,
                                  uint32_t dyRow, uint32_t stride) {
#define IM2WIN_TILE(MR)                                                      \
  case MR:                                                                   \
    return gradientTile<MR, NV>(gradient, x, dy, rows, pixels, xPixel, xRow, \
                                dyPixel, dyRow, stride)
  switch (mr) {
    IM2WIN_TILE(1);
    IM2WIN_TILE(2);
    IM2WIN_TILE(3);
    IM2WIN_TILE(4);
#ifndef IM2WIN_RELAXED
  }
#else
    IM2WIN_TILE(5);
    IM2WIN_TILE(6);
  }
#endif
#undef IM2WIN_TILE
}

// A product that is not fused takes a register of its own.
#ifdef IM2WIN_RELAXED
constexpr uint32_t kGradientRows = 6;
#else
constexpr uint32_t kGradientRows = 4;
#endif

// Output pixels at a time, about: their part of x and dy is to stay in the
// first-level cache while every tap, input and output channel meets it.
constexpr uint32_t kGradientPixels = 128;

// Adds one image's part of the gradient with respect to the filter,
// [filterHeight, filterWidth, inChannels, outChannels], from the image x,
// [inHeight, inWidth, inChannels], and dy, [outHeight, outWidth, outChannels].
IM2WIN_EXPORT(im2win_gradient_filter)
void im2win_gradient_filter(float* gradient, const float* x, const float* dy,
                            int32_t inHeight, int32_t inWidth,
                            uint32_t inChannels, int32_t outHeight,
                            int32_t outWidth, uint32_t outChannels,
                            int32_t filterHeight, int32_t filterWidth,
                            int32_t strideHeight, int32_t strideWidth,
                            int32_t padTop, int32_t padLeft) {
  const int32_t blockRows = (kGradientPixels + outWidth - 1) / outWidth;
  const uint32_t xPixel = strideWidth * inChannels;
  const uint32_t xRow = strideHeight * inWidth * inChannels;
  const uint32_t dyRow = outWidth * outChannels;
  for (int32_t block = 0; block < outHeight; block += blockRows) {
    const int32_t last =
        block + blockRows < outHeight ? block + blockRows : outHeight;
    for (int32_t kh = 0; kh < filterHeight; ++kh) {
      // The block's rows [top, bottom) and pixels [left, right) whose tap is
      // inside.
      int32_t top = block;
      while (top < last && top * strideHeight + kh - padTop < 0) ++top;
      int32_t bottom = last;
      while (bottom > top &&
             (bottom - 1) * strideHeight + kh - padTop >= inHeight) {
        --bottom;
      }
      if (bottom == top) continue;
      for (int32_t kw = 0; kw < filterWidth; ++kw) {
        int32_t left = 0;
        while (left < outWidth && left * strideWidth + kw - padLeft < 0) ++left;
        int32_t right = outWidth;
        while (right > left &&
               (right - 1) * strideWidth + kw - padLeft >= inWidth) {
          --right;
        }
        if (right == left) continue;
        const float* xAt = x + ((top * strideHeight + kh - padTop) * inWidth +
                                left * strideWidth + kw - padLeft) *
                                   int32_t(inChannels);
        const float* dyAt = dy + (top * outWidth + left) * int32_t(outChannels);
        float* tap =
            gradient + (kh * filterWidth + kw) * inChannels * outChannels;
        for (uint32_t ci = 0; ci < inChannels;) {
          const uint32_t channels =
              inChannels - ci < kGradientRows ? inChannels - ci : kGradientRows;
          float* to = tap + ci * outChannels;
          uint32_t n = 0;
          for (; n + 8 <= outChannels; n += 8) {
            gradientTileOf<2>(channels, to + n, xAt + ci, dyAt + n,
                              bottom - top, right - left, xPixel, xRow,
                              outChannels, dyRow, outChannels);
          }
          for (; n + 4 <= outChannels; n += 4) {
            gradientTileOf<1>(channels, to + n, xAt + ci, dyAt + n,
                              bottom - top, right - left, xPixel, xRow,
                              outChannels, dyRow, outChannels);
          }
          if (n < outChannels) {
            gradientRest(to + n, xAt + ci, dyAt + n, bottom - top, right - left,
                         xPixel, xRow, outChannels, dyRow, outChannels,
                         channels, outChannels - n);
          }
          ci += channels;
        }
      }
    }
  }
}
