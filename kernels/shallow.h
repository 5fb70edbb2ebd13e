// Winograd along the width where windows are shallow, as a first layer's are.
// There are few products to a sum, so to write the sums of all points and read
// them again would take longer than to make them: those of a tile are made
// together, and transformed back in registers.
#pragma once

#include "strip.h"
#include "winograd_steps.h"

// F(4, 3): the sums of six points, two vectors of each, are as many as those of
// the register tile.
constexpr int kShallowPoints = 6;
constexpr int kShallowOutputs = 4;

// Values of a run, which are multiplied without a loop. A column has one run or
// two: a loop over any number of them, or a loop for the rest, would take a
// tenth longer, since V8 spills what it needs.
constexpr int kShallowRun = 3;

// Tiles at a time, all panels each time, so that a pixel's lines are written
// one soon after the other.
constexpr uint32_t kShallowTiles = 8;

// Output J of a tile, `y` and the sums and differences of its pairs of points:
// outputTransform, but that it begins with `y`.
template <int J>
IM2WIN_INLINE f32x4 shallowOutput(f32x4 y, const f32x4* even,
                                  const f32x4* odd) {
  constexpr float near = power(pairPoint(kShallowPoints, 0), J);
  constexpr float far = power(pairPoint(kShallowPoints, 1), J);
  const f32x4* pairs = J % 2 == 0 ? even : odd;
  if constexpr (J == 0) {
    return wasm_f32x4_add(wasm_f32x4_add(y, pairs[0]), pairs[1]);
  }
  return mulAdd(pairs[1], splat(far), mulAdd(pairs[0], splat(near), y));
}

// Multiplies one panel, [filterHeight][columnFloats][points][NR], by tiles that
// follow each other, and writes their pixels' channels from n on.
IM2WIN_NOINLINE void shallowTiles(const ConvCall* call, const ConvCall* product,
                                  const float* panel, uint32_t n,
                                  Stretch stretch, uint32_t pixelStride) {
  constexpr int kPoints = kShallowPoints;
  constexpr int kPairs = kPoints / 2 - 1;
  const uint32_t length = product->segmentLength;
  const uint32_t pointStride = product->rowLength * product->windowStride;
  // From one run to the next: to the next filter row, or in turns within a
  // column and to the next row.
  const bool once = length == kShallowRun;
  const uint32_t further = product->segmentStride - length + kShallowRun;
  const uint32_t firstForward = once ? further : kShallowRun;
  const uint32_t turn = once ? 0 : further ^ kShallowRun;
  const uint32_t runs = product->segments * (once ? 1 : 2);
  const Bounds bounds = boundsOf(call, finalOf(call));
  const f32x4 low = splat(bounds.low);
  const f32x4 high = splat(bounds.high);
  f32x4 first[kNV];
  IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
    first[v] = firstSum(call, n + 4 * v, 4);
  }
  const float* a = stretch.a;
  float* c = stretch.c;
  for (uint32_t left = stretch.tiles; left != 0; --left) {
    const float* row = panel;
    const float* window[kPoints];
    f32x4 sum[kPoints][kNV];
    IM2WIN_UNROLL for (int i = 0; i < kPoints; ++i) {
      // The products at zero and at infinity belong to one output each, the
      // first and the last.
      const bool single = i == 0 || i == kPoints - 1;
      window[i] = a + i * pointStride;
      IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
        sum[i][v] = single ? first[v] : splat(0.0f);
      }
    }
    uint32_t forward = firstForward;
    for (uint32_t run = runs; run != 0; --run) {
      IM2WIN_UNROLL for (int s = 0; s < kShallowRun; ++s) {
        IM2WIN_UNROLL for (int i = 0; i < kPoints; ++i) {
          const f32x4 x = loadSplat(window[i] + s);
          IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
            const f32x4 b = load(row + (s * kPoints + i) * kNR + 4 * v);
            sum[i][v] = mulAdd(x, b, sum[i][v]);
            pin(sum[i][v]);
          }
        }
      }
      row += kShallowRun * kPoints * kNR;
      pin(row);
      IM2WIN_UNROLL for (int i = 0; i < kPoints; ++i) {
        window[i] += forward;
        pin(window[i]);
      }
      forward ^= turn;
    }
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
      f32x4 even[kPairs], odd[kPairs];
      IM2WIN_UNROLL for (int i = 0; i < kPairs; ++i) {
        const f32x4 plus = sum[2 * i + 1][v];
        const f32x4 minus = sum[2 * i + 2][v];
        even[i] = wasm_f32x4_add(plus, minus);
        odd[i] = wasm_f32x4_sub(plus, minus);
      }
      const f32x4 y[kShallowOutputs] = {
          shallowOutput<0>(sum[0][v], even, odd),
          shallowOutput<1>(first[v], even, odd),
          shallowOutput<2>(first[v], even, odd),
          shallowOutput<3>(sum[kPoints - 1][v], even, odd),
      };
      float* to = c + 4 * v;
      IM2WIN_UNROLL for (int j = 0; j < kShallowOutputs; ++j) {
        store(to, clamp(y[j], low, high));
        to += pixelStride;
      }
    }
    a += length;
    c += kShallowOutputs * pixelStride;
  }
}

// A prelu by channel of pixels whose sums are stored.
IM2WIN_NOINLINE void slopePixels(const ConvCall* call, float* to,
                                 uint32_t pixels) {
  for (uint32_t n = 0; n < uint32_t(call->outChannels); n += 4) {
    const f32x4 slope = slopeOf(call, n, 4);
    float* c = to + n;
    for (uint32_t i = pixels; i != 0; --i, c += call->outPixelStride) {
      store(c, prelu(load(c), slope));
    }
  }
}

// Multiplies output rows, as winogradProducts does. There are whole panels
// alone.
IM2WIN_NOINLINE void shallowProducts(const ConvCall* call,
                                     const ConvCall* product, const float* a,
                                     OutputRows rows) {
  const uint32_t outWidth = call->rowLength;
  const uint32_t outChannels = call->outChannels;
  const uint32_t pixelStride = call->outPixelStride;
  const uint32_t panelFloats = kShallowPoints * depthOf(product) * kNR;
  float* sums = const_cast<ConvCall*>(call)->scratch.sums;
  for (uint32_t r = 0; r < rows.count; ++r) {
    const float* from = a + r * product->windowRowStride;
    float* to = rows.c + r * call->outRowStride;
    uint32_t pixels;
    for (uint32_t j = 0; j < outWidth; j += pixels) {
      const uint32_t left = outWidth - j;
      const uint32_t whole = left / kShallowOutputs;
      const uint32_t tiles = whole < kShallowTiles ? whole : kShallowTiles;
      pixels = tiles != 0 ? tiles * kShallowOutputs : left;
      const float* panel = product->panels;
      for (uint32_t n = 0; n < outChannels; n += kNR, panel += panelFloats) {
        const bool rest = tiles == 0;
        shallowTiles(call, product, panel, n,
                     {from, rest ? sums : to + n, rest ? 1 : tiles},
                     rest ? kNR : pixelStride);
        // Of a tile that is not whole the pixels that count are copied.
        for (uint32_t i = 0; rest && i < pixels; ++i) {
          copy(to + i * pixelStride + n, sums + i * kNR, kNR);
        }
      }
      if (finalOf(call) == kSloped) {
        slopePixels(call, to, pixels);
      } else if (!finishesInRegisters(call)) {
        finishPixels(call, {to, r, j}, {0, int32_t(outChannels)}, pixels);
      }
      from += tiles * product->segmentLength;
      to += pixels * pixelStride;
    }
  }
}
