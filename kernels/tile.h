// The register tile: MR windows times one filter panel, NR = 8 channels wide,
// summed over the whole depth in MR * NV vectors, then finished in registers.
//
// GEMM in BLIS's terms (Van Zee and van de Geijn, ACM TOMS 2015), with one
// difference: the rows of the left matrix are windows of a strip, so they may
// overlap, and a tile may run over the end of an output row into the next.
#pragma once

#include "epilogue.h"

// Where a tile stands: a window, its output pixel, and their place in the
// block.
struct Cursor {
  const float* a;
  float* c;
  uint32_t r;
  uint32_t j;
};

IM2WIN_INLINE Cursor next(const ConvCall* call, Cursor at) {
  if (++at.j < uint32_t(call->rowLength)) {
    at.a += call->windowStride;
    at.c += call->outPixelStride;
    return at;
  }
  const int32_t back = call->rowLength - 1;
  at.a += call->windowRowStride - back * call->windowStride;
  at.c += call->outRowStride - back * call->outPixelStride;
  at.j = 0;
  ++at.r;
  return at;
}

IM2WIN_INLINE Cursor advance(const ConvCall* call, Cursor at,
                             uint32_t windows) {
  if (at.j + windows < uint32_t(call->rowLength)) {
    at.a += windows * call->windowStride;
    at.c += windows * call->outPixelStride;
    at.j += windows;
    return at;
  }
  for (; windows != 0; --windows) at = next(call, at);
  return at;
}

// The vectors of a panel's row, by their numbers.
template <int... V>
struct Vectors {};
template <typename Int, Int... V>
using VectorsOf = Vectors<V...>;
using WholePanel = __make_integer_seq<VectorsOf, int, kNV>;

// Something for each vector V of a row. Functions take it one by one: an array
// or a struct would go through memory wherever a call is not inlined.
template <int V>
using Each = f32x4;

// Multiplies MR windows by the vectors V (0, 1, ... NV - 1) of a panel. The
// windows follow a, `windowStride` floats apart, or are those of the list
// `windows`. Sums begin with `first`, and are written to `to`: 4 * NV channels
// for each window, `pixelStride` floats apart. The function reads depth * NR
// floats of the panel. It does nothing else, because anything more would take
// registers, and V8 would spill sums.
template <int MR, int... V>
IM2WIN_NOINLINE void tile(const ConvCall* call, const float* panel,
                          Each<V>... first, const float* a,
                          const float* const* windows, float* to,
                          int32_t pixelStride, Final final, Each<V>... low,
                          const float* ahead, uint32_t aheadStep) {
  constexpr int NV = sizeof...(V);
  const f32x4 firsts[NV] = {first...};
  const f32x4 lows[NV] = {low...};
  const float* window[MR];
  if (windows == nullptr) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      window[i] = a + i * call->windowStride;
    }
  } else {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) window[i] = windows[i];
  }

  // A tile of few windows keeps several sums for each output, and steps take
  // turns with them. Fewer than eight additions on their way would leave the
  // machine waiting.
  constexpr int kSums = MR * NV;
  constexpr int kTurns = kSums <= kFourTurns ? 4 : kSums <= kTwoTurns ? 2 : 1;
  f32x4 sum[kTurns][MR][NV];
  IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      sum[0][i][v] = firsts[v];
      IM2WIN_UNROLL for (int t = 1; t < kTurns; ++t) {
        sum[t][i][v] = splat(0.0f);
      }
    }
  }

  const auto step = [&](int k) __attribute__((always_inline)) {
    f32x4 b[NV];
    IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
      b[v] = load(panel + k * kNR + 4 * v);
    }
    auto& own = sum[k % kTurns];
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      const f32x4 x = loadSplat(window[i] + k);
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
        own[i][v] = mulAdd(x, b[v], own[i][v]);
      }
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) pin(own[i][v]);
    }
  };
  const auto forward = [&](int rows, int floats)
                           __attribute__((always_inline)) {
                             panel += rows * kNR;
                             pin(panel);
                             IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
                               window[i] += floats;
                               pin(window[i]);
                             }
                           };

  const int32_t gap = call->segmentStride - call->segmentLength;
  for (int32_t segment = call->segments; segment != 0; --segment) {
    uint32_t length = call->segmentLength;
    for (; length >= 4; length -= 4) {
      step(0);
      step(1);
      step(2);
      step(3);
      touch(ahead);
      ahead += aheadStep;
      pin(ahead);
      forward(4, 4);
    }
    if (length & 2) {
      step(0);
      step(1);
      forward(2, 2);
    }
    if (length & 1) {
      step(0);
      forward(1, 1);
    }
    forward(0, gap);
  }

  IM2WIN_UNROLL for (int t = 1; t < kTurns; ++t) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
        sum[0][i][v] = wasm_f32x4_add(sum[0][i][v], sum[t][i][v]);
      }
    }
  }

  const auto storeAll = [&](auto finish) __attribute__((always_inline)) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
        store(to + 4 * v, finish(sum[0][i][v], lows[v]));
      }
      to += pixelStride;
    }
  };
  // Sums without bounds are not clamped: that would cost a tile of few steps
  // several per cent.
  if (final == kAsTheyAre) {
    storeAll([](f32x4 y, f32x4) { return y; });
  } else if (final == kClamped) {
    const f32x4 high = finalHigh(call);
    storeAll([&](f32x4 y, f32x4 low) { return clamp(y, low, high); });
  } else {
    storeAll([](f32x4 y, f32x4 slope) { return prelu(y, slope); });
  }
}
