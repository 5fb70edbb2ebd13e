// Two steps of a Winograd convolution: winogradInput transforms input rows, and
// winogradProducts multiplies and transforms back a block of output rows. The
// filter's transform is in winograd_pack.h.
#pragma once

#include "rows.h"
#include "winograd.h"

// A stride s along the width is a stride of 1 over an image whose columns are s
// columns of the input. Such a column has s * inChannels channels
// (`columnFloats`), which NHWC holds side by side already, and a filter row has
// ceil(filterWidth / s) taps. A stride s along the height makes s interleaved
// images, the phases, whose products add up.
//
// Where `rowPoints` is not 1, F(rowOutputs, row taps) along the height is
// nested in the transform along the width. Where it is 1, nothing is
// transformed along the height, and each filter row is a phase of its own.

// Transforms one row of gathered columns. It has `tiles` tiles of POINTS
// columns, which begin `outputs` columns apart. Transformed tiles are
// `tileStride` floats apart, and the points of a tile `pointStride`.
template <int POINTS>
IM2WIN_INLINE void inputRow(float* to, const float* columns, uint32_t tiles,
                            uint32_t outputs, uint32_t columnFloats,
                            uint32_t tileStride, uint32_t pointStride) {
  for (uint32_t t = 0; t < tiles; ++t) {
    const float* from = columns + t * outputs * columnFloats;
    float* at = to + t * tileStride;
    uint32_t left = columnFloats;
    for (; left >= 4; left -= 4) {
      f32x4 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = load(from + i * columnFloats);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        store(at + i * pointStride, v[i]);
      }
      from += 4;
      at += 4;
    }
    if (left != 0) {
      f32x4 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = loadLanes(from + i * columnFloats, left);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        storeLanes(at + i * pointStride, v[i], left);
      }
    }
  }
}

// Transforms POINTS rows along the height, in place. Rows are `rowStride`
// floats apart, and `count` floats of each are transformed, rounded up to whole
// vectors.
template <int POINTS>
IM2WIN_INLINE void inputColumns(float* rows, uint32_t rowStride,
                                uint32_t count) {
  for (uint32_t i = 0; i < count; i += 4) {
    f32x4 d[POINTS], v[POINTS];
    IM2WIN_UNROLL for (int u = 0; u < POINTS; ++u) {
      d[u] = load(rows + u * rowStride + i);
    }
    inputTransform<POINTS>(d, v);
    IM2WIN_UNROLL for (int u = 0; u < POINTS; ++u) {
      store(rows + u * rowStride + i, v[u]);
    }
  }
}

// The products at all points of one place. `even` and `odd` are the sums and
// differences of each pair of points.
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

// Transforms a whole tile back and finishes it: OUTPUTS pixels of `vectors`
// times four channels, from channel n on.
template <int POINTS, int OUTPUTS>
IM2WIN_NOINLINE void outputTile(const ConvCall* call, const float* products,
                                uint32_t pointStride, uint32_t panelStride,
                                float* to, uint32_t n, uint32_t vectors) {
  const Final final = finalOf(call);
  const f32x4 high = finalHigh(call);
  for (uint32_t v = 0; v < vectors; ++v) {
    const f32x4 first = firstSum(call, n + 4 * v, 4);
    const f32x4 low = finalLow(call, final, n + 4 * v, 4);
    const auto p = Products<POINTS>::read(products, pointStride);
    products += (v + 1) % kNV ? 4 : panelStride - 4 * (kNV - 1);
    float* pixel = to + 4 * v;
#define IM2WIN_OUTPUT(J)                                               \
  if constexpr (J < OUTPUTS) {                                         \
    f32x4 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd);       \
    if constexpr (J + 1 == OUTPUTS) y = wasm_f32x4_add(y, p.infinity); \
    y = wasm_f32x4_add(y, first);                                      \
    store(pixel, finished(y, final, low, high));                       \
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

// The same for a tile that is not whole: the first `count` of its `outputs`
// pixels, and `lanes` channels from n on, of which at most four count.
template <int POINTS>
IM2WIN_NOINLINE void outputLanes(const ConvCall* call, const float* product,
                                 uint32_t pointStride, float* to, uint32_t n,
                                 uint32_t lanes, uint32_t outputs,
                                 uint32_t count) {
  const Final final = finalOf(call);
  const f32x4 low = finalLow(call, final, n, lanes);
  const f32x4 high = finalHigh(call);
  const f32x4 first = firstSum(call, n, lanes);
  const auto p = Products<POINTS>::read(product, pointStride);
#define IM2WIN_OUTPUT(J)                                         \
  if constexpr (J + 1 < POINTS) {                                \
    if (J >= count) return;                                      \
    f32x4 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd); \
    if (J + 1 == outputs) y = wasm_f32x4_add(y, p.infinity);     \
    y = wasm_f32x4_add(y, first);                                \
    storeLanes(to, finished(y, final, low, high), lanes);        \
    to += call->outPixelStride;                                  \
  }
  IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
}

// Transforms products back along the height, in place. The POINTS rows of
// `count` floats, which follow one another, become `outputs` rows.
template <int POINTS>
IM2WIN_NOINLINE void outputColumns(float* products, uint32_t count,
                                   uint32_t outputs) {
  for (uint32_t i = 0; i < count; i += 4) {
    float* to = products + i;
    const auto p = Products<POINTS>::read(to, count);
#define IM2WIN_OUTPUT(J)                                         \
  if constexpr (J + 1 < POINTS) {                                \
    if (J >= outputs) continue;                                  \
    f32x4 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd); \
    if (J + 1 == outputs) y = wasm_f32x4_add(y, p.infinity);     \
    store(to, y);                                                \
    to += count;                                                 \
  }
    IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
  }
}

// Transforms the products of a group of panels back along the width, and
// finishes them: the `width` channels from n on of `rows` output rows of
// `outWidth` pixels. The `rowOutputs` rows of a nested tile lie `rowStride`
// floats apart.
template <int POINTS>
IM2WIN_NOINLINE void outputRows(const ConvCall* call, const float* products,
                                uint32_t pointStride, uint32_t panelStride,
                                float* c, uint32_t n, uint32_t width,
                                uint32_t rows, uint32_t outputs,
                                uint32_t outWidth, uint32_t rowOutputs,
                                uint32_t rowStride) {
  const bool inRegisters = finishesInRegisters(call);
  const uint32_t tiles = (outWidth + outputs - 1) / outputs;
  for (uint32_t r = 0; r < rows; ++r) {
    const float* product =
        products + r / rowOutputs * tiles * kNR + r % rowOutputs * rowStride;
    for (uint32_t j = 0; j < outWidth; j += outputs, product += kNR) {
      float* to = c + r * call->outRowStride + j * call->outPixelStride + n;
      const uint32_t count = outWidth - j < outputs ? outWidth - j : outputs;
      const uint32_t vectors = count < outputs ? 0 : width / 4;
      if (vectors != 0) {
        outputTileOf<POINTS>(outputs, call, product, pointStride, panelStride,
                             to, n, vectors);
      }
      for (uint32_t v = 4 * vectors; v < width; v += 4) {
        outputLanes<POINTS>(call, product + v / kNR * panelStride + v % kNR,
                            pointStride, to + v, n + v, width - v, outputs,
                            count);
      }
      if (!inRegisters) finishPixels(call, to, r, j, n, width, count);
    }
  }
}

// Multiplies `rows` output rows of `outWidth` pixels, and transforms them back
// to c. `call` says how c is spaced, and has the epilogue. `gemm` describes the
// product of one point, whose windows are the transformed columns at `a`. The
// caller gives room for `products`: [group][rowPoints][points][window][NR]. The
// products of `group` panels are made before they are transformed back. So the
// windows are read once for all of them, and whole cache lines are written.
IM2WIN_NOINLINE void winogradProducts(const ConvCall* call,
                                      const ConvCall* gemm, const float* a,
                                      float* c, uint32_t rows, uint32_t outputs,
                                      uint32_t outWidth, float* products,
                                      uint32_t points, uint32_t group,
                                      uint32_t rowPoints, uint32_t rowOutputs) {
  const uint32_t tiles = (outWidth + outputs - 1) / outputs;
  const uint32_t windows = (rows + rowOutputs - 1) / rowOutputs * tiles;
  const uint32_t aPointStride = gemm->rowLength * gemm->windowStride;
  const uint32_t outChannels = call->outChannels;
  const uint32_t pointFloats = depthOf(gemm) * kNR;
  const uint32_t pointStride = windows * kNR;
  const uint32_t allPoints = rowPoints * points;
  const uint32_t rowStride = points * pointStride;
  const uint32_t panelStride = allPoints * pointStride;
  const Shares wide = sharesOf(windows, kMR, depthOf(gemm));
  const Shares narrow = sharesOf(windows, kNarrowMR, depthOf(gemm));
  const float* panels = gemm->panels;
  for (uint32_t n = 0; n < outChannels; n += group * kNR) {
    const uint32_t width =
        outChannels - n < group * kNR ? outChannels - n : group * kNR;
    for (uint32_t point = 0; point < allPoints; ++point) {
      const float* from = a + point * aPointStride;
      const float* panel = panels + point * pointFloats;
      float* to = products + point * pointStride;
      for (uint32_t m = 0; m < width; m += kNR) {
        // What is multiplied next, to be touched: the next panel of the group,
        // or the next point of its first panel, or the next group.
        const float* following =
            m + kNR < width           ? panel + allPoints * pointFloats
            : point + 1 < allPoints   ? panels + (point + 1) * pointFloats
            : n + width < outChannels ? panels + group * allPoints * pointFloats
                                      : gemm->panels;
        // Products of a whole panel, or of its vectors that have channels.
        uint32_t lanes = 4;
        IM2WIN_UNROLL for (uint32_t v = 4; v < kNR; v += 4) {
          if (width - m > v) lanes = v + 4;
        }
        panelRowsOf(gemm, panel, 0, lanes, {from, to, 0, 0}, wide, narrow,
                    following);
        panel += allPoints * pointFloats;
        to += panelStride;
      }
    }
    panels += group * allPoints * pointFloats;
    for (float* own = products;
         own < products + (width + kNR - 1) / kNR * panelStride;
         own += panelStride) {
      if (rowPoints == 4) outputColumns<4>(own, rowStride, rowOutputs);
      if (rowPoints == 6) outputColumns<6>(own, rowStride, rowOutputs);
      if (rowPoints == 8) outputColumns<8>(own, rowStride, rowOutputs);
    }
    const auto back = [&](auto run) __attribute__((always_inline)) {
      run(call, products, pointStride, panelStride, c, n, width, rows, outputs,
          outWidth, rowOutputs, rowStride);
    };
    if (points == 4) back(outputRows<4>);
    if (points == 6) back(outputRows<6>);
    if (points == 8) back(outputRows<8>);
  }
}

// Transforms `rowPoints` gathered rows, first along the height (in place,
// unless `rowPoints` is 1), then along the width. Columns have `columnFloats`
// floats. Rows are `rowStride` floats apart and padded to whole vectors.
// Transformed points are `pointStride` floats apart, and the tiles of a point
// `tileStride`.
IM2WIN_NOINLINE void winogradInput(float* to, float* rows, uint32_t rowStride,
                                   uint32_t tiles, uint32_t outputs,
                                   uint32_t columnFloats, uint32_t tileStride,
                                   uint32_t pointStride, uint32_t rowPoints,
                                   uint32_t points) {
  if (rowPoints == 4) inputColumns<4>(rows, rowStride, rowStride);
  if (rowPoints == 6) inputColumns<6>(rows, rowStride, rowStride);
  if (rowPoints == 8) inputColumns<8>(rows, rowStride, rowStride);
  for (uint32_t u = 0; u < rowPoints; ++u) {
    const auto with = [&](auto run) __attribute__((always_inline)) {
      run(to, rows, tiles, outputs, columnFloats, tileStride, pointStride);
    };
    if (points == 4) with(inputRow<4>);
    if (points == 6) with(inputRow<6>);
    if (points == 8) with(inputRow<8>);
    rows += rowStride;
    to += points * pointStride;
  }
}
