// The three steps of a Winograd convolution: pack the filter's transform,
// transform an input row, multiply and transform back a block of output rows.
#include "winograd.h"

#include "rows.h"

// A stride s along the width is a stride of 1 over an image whose columns are s
// columns of the input, s * inChannels channels deep (`columnFloats`), with
// ceil(filterWidth / s) taps: NHWC holds them side by side already.

// One point's row of a panel, from the taps at `filter`, which are `tapStride`
// floats apart; taps beyond `taps` count as zero.
template <int POINTS>
IM2WIN_NOINLINE void packRow(float* panel, uint32_t pointStride,
                             const float* filter, uint32_t tapStride,
                             uint32_t taps, bool lastTap, uint32_t width) {
  constexpr int kPairs = POINTS / 2 - 1;
  for (uint32_t v = 0; v < kNR; v += 4) {
    f32x4 zero = splat(0.0f), infinity = splat(0.0f);
    f32x4 even[kPairs], odd[kPairs], at[kPairs];
    IM2WIN_UNROLL for (int k = 0; k < kPairs; ++k) {
      even[k] = odd[k] = splat(0.0f);
      at[k] = splat(1.0f);
    }
    if (width > v) {
      for (uint32_t q = 0; q < taps; ++q) {
        const f32x4 tap = loadLanes(filter + q * tapStride + v, width - v);
        if (q == 0) zero = tap;
        if (lastTap && q + 1 == taps) infinity = tap;
        IM2WIN_UNROLL for (int k = 0; k < kPairs; ++k) {
          const f32x4 term = wasm_f32x4_mul(tap, at[k]);
          if (q % 2 == 0) {
            even[k] = wasm_f32x4_add(even[k], term);
          } else {
            odd[k] = wasm_f32x4_add(odd[k], term);
          }
          at[k] = wasm_f32x4_mul(at[k], splat(kPoint[k]));
        }
      }
    }
    float* to = panel + v;
    store(to, wasm_f32x4_mul(zero, splat(filterScale(POINTS, -1))));
    to += pointStride;
    IM2WIN_UNROLL for (int k = 0; k < kPairs; ++k) {
      const f32x4 scale = splat(filterScale(POINTS, k));
      store(to, wasm_f32x4_mul(wasm_f32x4_add(even[k], odd[k]), scale));
      to += pointStride;
      store(to, wasm_f32x4_mul(wasm_f32x4_sub(even[k], odd[k]), scale));
      to += pointStride;
    }
    store(to, infinity);
  }
}

// Writes ceil(outChannels / NR) panels of POINTS * filterHeight * strideWidth *
// inChannels * NR floats, [panel][point][filterHeight][strideWidth][inChannels]
// [NR], from a tfjs filter.
template <int POINTS>
IM2WIN_INLINE void pack(float* panels, const float* filter,
                        uint32_t filterHeight, uint32_t filterWidth,
                        uint32_t inChannels, uint32_t outChannels,
                        uint32_t strideWidth) {
  const uint32_t taps = (filterWidth + strideWidth - 1) / strideWidth;
  const uint32_t depth = filterHeight * strideWidth * inChannels;
  const uint32_t tapFloats = inChannels * outChannels;
  for (uint32_t n = 0; n < outChannels; n += kNR) {
    const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
    float* row = panels;
    for (uint32_t kh = 0; kh < filterHeight; ++kh) {
      for (uint32_t phase = 0; phase < strideWidth; ++phase) {
        // A phase may have one tap less than the others, or none.
        const uint32_t own =
            phase < filterWidth
                ? (filterWidth - phase + strideWidth - 1) / strideWidth
                : 0;
        const float* from = filter + (kh * filterWidth + phase) * tapFloats + n;
        for (uint32_t ci = 0; ci < inChannels; ++ci) {
          packRow<POINTS>(row, depth * kNR, from, strideWidth * tapFloats, own,
                          own == taps, width);
          from += outChannels;
          row += kNR;
        }
      }
    }
    panels += POINTS * depth * kNR;
  }
}

// Transforms one gathered input row: `tiles` tiles of POINTS columns, each tile
// `outputs` columns behind the one before. Writes [point][tile][columnFloats],
// points being `tiles * columnFloats` floats apart.
template <int POINTS>
IM2WIN_INLINE void inputRow(float* to, const float* columns, uint32_t tiles,
                            uint32_t outputs, uint32_t columnFloats) {
  const uint32_t pointStride = tiles * columnFloats;
  for (uint32_t t = 0; t < tiles; ++t) {
    const float* from = columns + t * outputs * columnFloats;
    uint32_t left = columnFloats;
    for (; left >= 4; left -= 4) {
      f32x4 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = load(from + i * columnFloats);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        store(to + i * pointStride, v[i]);
      }
      from += 4;
      to += 4;
    }
    if (left != 0) {
      f32x4 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = loadLanes(from + i * columnFloats, left);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        storeLanes(to + i * pointStride, v[i], left);
      }
      to += left;
    }
  }
}

// A product of each point, read back: `even` and `odd` are its pairs' sums and
// differences.
template <int POINTS>
struct Products {
  f32x4 zero, infinity;
  f32x4 even[POINTS / 2 - 1], odd[POINTS / 2 - 1];

  IM2WIN_INLINE Products read(const float* product, uint32_t pointStride) {
    Products p;
    p.zero = load(product);
    IM2WIN_UNROLL for (int k = 0; k < POINTS / 2 - 1; ++k) {
      const f32x4 plus = load(product + (2 * k + 1) * pointStride);
      const f32x4 minus = load(product + (2 * k + 2) * pointStride);
      p.even[k] = wasm_f32x4_add(plus, minus);
      p.odd[k] = wasm_f32x4_sub(plus, minus);
    }
    p.infinity = load(product + (POINTS - 1) * pointStride);
    return p;
  }
};

// The most outputs of a tile are those of F(7,2).
#define IM2WIN_EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6)

// Transforms a tile back: `vectors` times four channels of OUTPUTS pixels.
template <int POINTS, int OUTPUTS>
IM2WIN_NOINLINE void outputTile(const ConvCall* call, const float* products,
                                uint32_t pointStride, uint32_t panelStride,
                                float* to, uint32_t n, uint32_t vectors) {
  const bool inRegisters = finishesInRegisters(call);
  const Bounds bounds = boundsOf(call, inRegisters);
  for (uint32_t v = 0; v < vectors; ++v) {
    const f32x4 first = firstSum(call, n + 4 * v, 4);
    const auto p = Products<POINTS>::read(products, pointStride);
    products += v % 2 == 0 ? 4 : panelStride - 4;
    float* pixel = to + 4 * v;
#define IM2WIN_OUTPUT(J)                                               \
  if constexpr (J < OUTPUTS) {                                         \
    f32x4 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd);       \
    if constexpr (J + 1 == OUTPUTS) y = wasm_f32x4_add(y, p.infinity); \
    y = wasm_f32x4_add(y, first);                                      \
    store(pixel, clamp(y, bounds.low, bounds.high));                   \
    pixel += call->outPixelStride;                                     \
  }
    IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
  }
}

template <int POINTS>
IM2WIN_INLINE void outputTileOf(uint32_t outputs, const ConvCall* call,
                                const float* products, uint32_t pointStride,
                                uint32_t panelStride, float* to, uint32_t n,
                                uint32_t vectors) {
#define IM2WIN_TILE(OUTPUTS)                                           \
  if constexpr (OUTPUTS + 2 <= POINTS) {                               \
    if (outputs == OUTPUTS)                                            \
      return outputTile<POINTS, OUTPUTS>(call, products, pointStride,  \
                                         panelStride, to, n, vectors); \
  }
  IM2WIN_TILE(2)
  IM2WIN_TILE(3)
  IM2WIN_TILE(4)
  IM2WIN_TILE(5)
  IM2WIN_TILE(6)
#undef IM2WIN_TILE
  outputTile<POINTS, POINTS - 1>(call, products, pointStride, panelStride, to,
                                 n, vectors);
}

// The same where it is not whole: `lanes` (1 to 4) channels of the first
// `count` of a tile's `outputs` pixels.
template <int POINTS>
IM2WIN_NOINLINE void outputLanes(const ConvCall* call, const float* product,
                                 uint32_t pointStride, float* to, uint32_t n,
                                 uint32_t lanes, uint32_t outputs,
                                 uint32_t count) {
  const bool inRegisters = finishesInRegisters(call);
  const Bounds bounds = boundsOf(call, inRegisters);
  const f32x4 first = firstSum(call, n, lanes);
  const auto p = Products<POINTS>::read(product, pointStride);
#define IM2WIN_OUTPUT(J)                                         \
  if constexpr (J + 1 < POINTS) {                                \
    if (J >= count) return;                                      \
    f32x4 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd); \
    if (J + 1 == outputs) y = wasm_f32x4_add(y, p.infinity);     \
    y = wasm_f32x4_add(y, first);                                \
    storeLanes(to, clamp(y, bounds.low, bounds.high), lanes);    \
    to += call->outPixelStride;                                  \
  }
  IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
}

// Transforms a group's products back and finishes them: the `width` channels
// from n on of `rows` output rows of `outWidth` pixels.
template <int POINTS>
IM2WIN_NOINLINE void outputRows(const ConvCall* call, const float* products,
                                uint32_t pointStride, uint32_t panelStride,
                                float* c, uint32_t n, uint32_t width,
                                uint32_t rows, uint32_t outputs,
                                uint32_t outWidth) {
  const bool inRegisters = finishesInRegisters(call);
  for (uint32_t r = 0; r < rows; ++r) {
    for (uint32_t j = 0; j < outWidth; j += outputs, products += kNR) {
      float* to = c + r * call->outRowStride + j * call->outPixelStride + n;
      const uint32_t count = outWidth - j < outputs ? outWidth - j : outputs;
      const uint32_t vectors = count < outputs ? 0 : width / 4;
      if (vectors != 0) {
        outputTileOf<POINTS>(outputs, call, products, pointStride, panelStride,
                             to, n, vectors);
      }
      for (uint32_t v = 4 * vectors; v < width; v += 4) {
        outputLanes<POINTS>(call, products + v / kNR * panelStride + v % kNR,
                            pointStride, to + v, n + v, width - v, outputs,
                            count);
      }
      if (!inRegisters) finishPixels(call, to, r, j, n, width, count);
    }
  }
}

// The products of `group` panels are made before they are transformed back:
// the windows are read once for all of them, and whole cache lines written.
template <int POINTS, uint32_t MR>
IM2WIN_INLINE void block(const ConvCall* call, const ConvCall* gemm,
                         const float* a, float* c, uint32_t rows,
                         uint32_t outputs, uint32_t outWidth, float* products,
                         uint32_t group) {
  const uint32_t tiles = gemm->rowLength;
  const uint32_t windows = rows * tiles;
  const uint32_t aPointStride = tiles * gemm->windowStride;
  const uint32_t outChannels = call->outChannels;
  const uint32_t pointFloats = depthOf(gemm) * kNR;
  const uint32_t pointStride = windows * kNR;
  const uint32_t panelStride = POINTS * pointStride;
  const float* panels = gemm->panels;
  for (uint32_t n = 0; n < outChannels; n += group * kNR) {
    const uint32_t width =
        outChannels - n < group * kNR ? outChannels - n : group * kNR;
    for (uint32_t point = 0; point < POINTS; ++point) {
      const float* from = a + point * aPointStride;
      const float* panel = panels + point * pointFloats;
      float* to = products + point * pointStride;
      for (uint32_t m = 0; m < width; m += kNR) {
        // The next panel of the group, or the first one's next point, or the
        // next group.
        const float* following =
            m + kNR < width           ? panel + POINTS * pointFloats
            : point + 1 < POINTS      ? panels + (point + 1) * pointFloats
            : n + width < outChannels ? panels + group * POINTS * pointFloats
                                      : gemm->panels;
        if (width - m > 4) {
          panelRows<2>(gemm, panel, 0, 8, from, to, 0, 0, windows, MR,
                       following);
        } else {
          panelRows<1>(gemm, panel, 0, 4, from, to, 0, 0, windows, 8,
                       following);
        }
        panel += POINTS * pointFloats;
        to += panelStride;
      }
    }
    panels += group * POINTS * pointFloats;
    outputRows<POINTS>(call, products, pointStride, panelStride, c, n, width,
                       rows, outputs, outWidth);
  }
}

IM2WIN_EXPORT(im2win_winograd_pack)
void im2win_winograd_pack(float* panels, const float* filter,
                          uint32_t filterHeight, uint32_t filterWidth,
                          uint32_t inChannels, uint32_t outChannels,
                          uint32_t strideWidth, uint32_t points) {
  const auto with = [&](auto run) {
    run(panels, filter, filterHeight, filterWidth, inChannels, outChannels,
        strideWidth);
  };
  if (points == 4) with(pack<4>);
  if (points == 6) with(pack<6>);
  if (points == 8) with(pack<8>);
}

IM2WIN_EXPORT(im2win_winograd_input)
void im2win_winograd_input(float* to, const float* columns, uint32_t tiles,
                           uint32_t outputs, uint32_t columnFloats,
                           uint32_t points) {
  if (points == 4) inputRow<4>(to, columns, tiles, outputs, columnFloats);
  if (points == 6) inputRow<6>(to, columns, tiles, outputs, columnFloats);
  if (points == 8) inputRow<8>(to, columns, tiles, outputs, columnFloats);
}

// Multiplies and transforms back `rows` output rows to c, spaced as `call`
// says, which has the epilogue too. `gemm` describes one point's product: its
// windows are the transformed columns at `a`, its output is products:
// [group][point][rows * tiles][NR], which are the caller's to give.
template <uint32_t MR>
IM2WIN_INLINE void winograd(const ConvCall* call, const ConvCall* gemm,
                            const float* a, float* c, uint32_t rows,
                            uint32_t outputs, uint32_t outWidth,
                            float* products, uint32_t points, uint32_t group) {
  if (points == 4)
    block<4, MR>(call, gemm, a, c, rows, outputs, outWidth, products, group);
  if (points == 6)
    block<6, MR>(call, gemm, a, c, rows, outputs, outWidth, products, group);
  if (points == 8)
    block<8, MR>(call, gemm, a, c, rows, outputs, outWidth, products, group);
}

#ifdef IM2WIN_RELAXED
IM2WIN_EXPORT(im2win_winograd_6x8)
void im2win_winograd_6x8(const ConvCall* call, const ConvCall* gemm,
                         const float* a, float* c, uint32_t rows,
                         uint32_t outputs, uint32_t outWidth, float* products,
                         uint32_t points, uint32_t group) {
  winograd<6>(call, gemm, a, c, rows, outputs, outWidth, products, points,
              group);
}
#else
IM2WIN_EXPORT(im2win_winograd_5x8)
void im2win_winograd_5x8(const ConvCall* call, const ConvCall* gemm,
                         const float* a, float* c, uint32_t rows,
                         uint32_t outputs, uint32_t outWidth, float* products,
                         uint32_t points, uint32_t group) {
  winograd<5>(call, gemm, a, c, rows, outputs, outWidth, products, points,
              group);
}
#endif
