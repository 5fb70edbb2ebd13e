// Depthwise convolution in NHWC: each input channel has a filter, or
// `multiplier` filters, of its own. Nothing is packed or gathered: neighbouring
// output pixels share all but a stride's columns of the input, so a tile of
// them is summed in registers while one column after the other is loaded once.
#include "epilogue.h"

// T output pixels times four channels: `rows` filter rows of KW taps, S columns
// from one output pixel to the next. x is the first window's first value,
// filter its first tap; all strides are in floats.
template <int KW, int S, int T>
IM2WIN_INLINE void columns(f32x4* sum, const float* x, const float* filter,
                           uint32_t rows, uint32_t rowStride,
                           uint32_t pixelStride) {
  for (uint32_t kh = 0; kh < rows; ++kh) {
    f32x4 tap[KW];
    IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
      tap[kw] = load(filter + kw * pixelStride);
    }
    const float* column = x;
    IM2WIN_UNROLL for (int w = 0; w < (T - 1) * S + KW; ++w) {
      const f32x4 value = load(column);
      column += pixelStride;
      pin(column);
      IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
        if ((w - kw) % S == 0 && w >= kw && (w - kw) / S < T) {
          f32x4& own = sum[(w - kw) / S];
          own = mulAdd(value, tap[kw], own);
          pin(own);
        }
      }
    }
    x += rowStride;
    filter += KW * pixelStride;
  }
}

// A tile of T pixels, all channels of it that fill a vector; from pixel j of
// output row r on.
template <int KW, int S, int T>
IM2WIN_NOINLINE void depthwiseTile(const ConvCall* call, const float* x,
                                   const float* filter, float* c, uint32_t rows,
                                   uint32_t rowStride, uint32_t channels,
                                   uint32_t r, uint32_t j) {
  const bool inRegisters = finishesInRegisters(call);
  const Bounds bounds = boundsOf(call, inRegisters);
  const uint32_t whole = channels & ~3u;
  for (uint32_t n = 0; n < whole; n += 4) {
    f32x4 sum[T];
    const f32x4 first = firstSum(call, n, 4);
    IM2WIN_UNROLL for (int t = 0; t < T; ++t) sum[t] = first;
    columns<KW, S, T>(sum, x + n, filter + n, rows, rowStride, channels);
    float* to = c + n;
    IM2WIN_UNROLL for (int t = 0; t < T; ++t) {
      store(to, clamp(sum[t], bounds.low, bounds.high));
      to += call->outPixelStride;
    }
  }
  if (!inRegisters && whole != 0) finishPixels(call, c, r, j, 0, whole, T);
}

// The taps [first, last) of a filter's side that lie inside the input, for an
// output whose first tap is at `at`.
IM2WIN_INLINE int32_t firstInside(int32_t at, int32_t dilation) {
  return at >= 0 ? 0 : (-at + dilation - 1) / dilation;
}

IM2WIN_INLINE int32_t lastInside(int32_t at, int32_t dilation, int32_t taps,
                                 int32_t size) {
  if (at >= size) return 0;
  const int32_t inside = (size - at + dilation - 1) / dilation;
  return inside < taps ? inside : taps;
}

// One output pixel, channels [n, outChannels), any filter: the taps that the
// caller has found inside. `tapStride` and the filter's rows are in floats.
IM2WIN_NOINLINE void depthwisePixel(const ConvCall* call, const float* x,
                                    const float* filter, float* c, uint32_t n,
                                    uint32_t multiplier, uint32_t rows,
                                    uint32_t taps, uint32_t rowStride,
                                    uint32_t tapStride, uint32_t filterRow,
                                    uint32_t r, uint32_t j) {
  const uint32_t outChannels = call->outChannels;
  const bool inRegisters = finishesInRegisters(call);
  const Bounds bounds = boundsOf(call, inRegisters);
  const uint32_t begin = n;
  while (n < outChannels) {
    const uint32_t channel = n / multiplier;
    // As many channels as share a load of the input: of one multiplier, or side
    // by side.
    const uint32_t left =
        multiplier == 1 ? outChannels - n : (channel + 1) * multiplier - n;
    const uint32_t lanes = left < 4 ? left : 4;
    f32x4 sum = firstSum(call, n, lanes);
    const float* xRow = x + channel;
    const float* filterAt = filter + n;
    for (uint32_t kh = 0; kh < rows; ++kh) {
      const float* value = xRow;
      const float* tap = filterAt;
      for (uint32_t kw = 0; kw < taps; ++kw) {
        const f32x4 v =
            multiplier == 1 ? loadLanes(value, lanes) : loadSplat(value);
        sum = mulAdd(v, loadLanes(tap, lanes), sum);
        value += tapStride;
        tap += outChannels;
      }
      xRow += rowStride;
      filterAt += filterRow;
    }
    storeLanes(c + n, clamp(sum, bounds.low, bounds.high), lanes);
    n += lanes;
  }
  if (!inRegisters) {
    finishPixels(call, c + begin, r, j, begin, outChannels - begin, 1);
  }
}

// Output pixels [from, to) of a row, whose windows lie inside the input along
// the width: tiles of eight pixels, then the rest by halves.
template <int KW, int S>
IM2WIN_INLINE void depthwiseTiles(const ConvCall* call, const float* x,
                                  const float* filter, float* c, uint32_t rows,
                                  uint32_t rowStride, uint32_t channels,
                                  uint32_t r, uint32_t from, uint32_t to) {
  uint32_t j = from;
#define IM2WIN_TILES(T)                                                       \
  for (; to - j >= T; j += T) {                                               \
    depthwiseTile<KW, S, T>(call, x, filter, c, rows, rowStride, channels, r, \
                            j);                                               \
    x += T * S * channels;                                                    \
    c += T * call->outPixelStride;                                            \
  }
  IM2WIN_TILES(8)
  IM2WIN_TILES(4)
  IM2WIN_TILES(2)
  IM2WIN_TILES(1)
#undef IM2WIN_TILES
}

// Writes `outHeight` rows of call->rowLength pixels to c: [outHeight,
// rowLength, inChannels * multiplier], spaced as the call says, from the image
// at x, [inHeight, inWidth, inChannels], and the filter, [filterHeight,
// filterWidth, inChannels, multiplier]. Output channel c * multiplier + m is
// input channel c times filter m of it. Of the call it reads outChannels,
// rowLength, the output's strides and the epilogue.
IM2WIN_EXPORT(im2win_depthwise)
void im2win_depthwise(const ConvCall* call, const float* x, const float* filter,
                      float* c, uint32_t outHeight, int32_t inHeight,
                      int32_t inWidth, uint32_t inChannels, uint32_t multiplier,
                      int32_t filterHeight, int32_t filterWidth,
                      int32_t strideHeight, int32_t strideWidth,
                      int32_t dilationHeight, int32_t dilationWidth,
                      int32_t padTop, int32_t padLeft) {
  const int32_t outWidth = call->rowLength;
  const uint32_t outChannels = call->outChannels;
  const uint32_t rowFloats = inWidth * inChannels;
  const bool tiled = multiplier == 1 && dilationWidth == 1 &&
                     (filterWidth == 3 || filterWidth == 5) &&
                     (strideWidth == 1 || strideWidth == 2);
  // The pixels [left, right) whose windows lie inside along the width.
  int32_t left = (padLeft + strideWidth - 1) / strideWidth;
  if (padLeft < 0) left = 0;
  int32_t right = inWidth + padLeft - (filterWidth - 1) * dilationWidth;
  right = right <= 0 ? 0 : (right + strideWidth - 1) / strideWidth;
  if (right > outWidth) right = outWidth;
  if (left > right) left = right = outWidth;

  for (uint32_t r = 0; r < outHeight; ++r) {
    const int32_t h = int32_t(r) * strideHeight - padTop;
    const int32_t top = firstInside(h, dilationHeight);
    const int32_t bottom =
        lastInside(h, dilationHeight, filterHeight, inHeight);
    const uint32_t rows = bottom > top ? bottom - top : 0;
    const float* xRow = x + (h + top * dilationHeight) * int32_t(rowFloats);
    const float* filterRow = filter + top * filterWidth * outChannels;
    float* cRow = c + r * call->outRowStride;
    const uint32_t rowStride = dilationHeight * rowFloats;

    if (tiled && left < right) {
      const float* at =
          xRow + (left * strideWidth - padLeft) * int32_t(inChannels);
      float* to = cRow + left * call->outPixelStride;
#define IM2WIN_TILES(KW, S)                                         \
  if (filterWidth == KW && strideWidth == S) {                      \
    depthwiseTiles<KW, S>(call, at, filterRow, to, rows, rowStride, \
                          inChannels, r, left, right);              \
  }
      IM2WIN_TILES(3, 1)
      IM2WIN_TILES(3, 2)
      IM2WIN_TILES(5, 1)
      IM2WIN_TILES(5, 2)
#undef IM2WIN_TILES
    }
    // The edges, the channels that fill no vector, and every other filter.
    const uint32_t whole = outChannels & ~3u;
    for (int32_t j = 0; j < outWidth; ++j) {
      const bool done = tiled && j >= left && j < right;
      if (done && whole == outChannels) {
        j = right - 1;
        continue;
      }
      const int32_t w = j * strideWidth - padLeft;
      const int32_t begin = firstInside(w, dilationWidth);
      const int32_t end = lastInside(w, dilationWidth, filterWidth, inWidth);
      depthwisePixel(
          call, xRow + (w + begin * dilationWidth) * int32_t(inChannels),
          filterRow + begin * int32_t(outChannels),
          cRow + j * call->outPixelStride, done ? whole : 0, multiplier, rows,
          end > begin ? end - begin : 0, rowStride, dilationWidth * inChannels,
          filterWidth * outChannels, r, j);
    }
  }
}
