// The register tile: MR windows times one filter panel, NR = 8 channels wide,
// summed over the whole depth in MR * NV vectors, then finished in registers.
//
// GEMM in BLIS's terms (Van Zee and van de Geijn, ACM TOMS 2015), with one
// difference: the rows of the left matrix are windows of a strip, so they may
// overlap, and a tile may run over the end of an output row into the next.
#pragma once

#include "epilogue.h"

// Windows that follow one another, `windowStride` floats apart, from `a` on; or
// those of a list, where there is one.
struct Windows {
  const float* a;
  const float* const* list;
};

// Output pixels, `stride` floats apart.
struct Pixels {
  float* to;
  int32_t stride;
};

// Multiplies MR windows by the first NV vectors of a panel's rows, and writes 4
// * NV channels of each pixel. The function reads depth * NR floats of the
// panel. It does nothing else, because anything more would take registers, and
// V8 would spill sums.
template <int MR, int NV>
IM2WIN_NOINLINE void tile(const ConvCall* call, const float* panel,
                          Windows windows, Pixels pixels, Ahead ahead) {
  const float* window[MR];
  if (windows.list == nullptr) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      window[i] = windows.a + i * call->windowStride;
    }
  } else {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) window[i] = windows.list[i];
  }

  // A tile of few windows keeps several sums for each output, and steps take
  // turns with them. Fewer than eight additions on their way would leave the
  // machine waiting.
  constexpr int kSums = MR * NV;
  constexpr int kTurns = kSums <= kFourTurns ? 4 : kSums <= kTwoTurns ? 2 : 1;
  f32x4 sum[kTurns][MR][NV];
  IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
    const f32x4 first = load(call->terms[v / 2].first + v % 2 * 4);
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      sum[0][i][v] = first;
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
      touch(ahead.at);
      ahead.at += ahead.step;
      pin(ahead.at);
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

  float* to = pixels.to;
  const auto storeAll = [&](auto finish) __attribute__((always_inline)) {
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      IM2WIN_UNROLL for (int v = NV - 1; v >= 0; --v) {
        store(to + 4 * v, finish(sum[0][i][v], v));
      }
      to += pixels.stride;
    }
  };
  // Sums without bounds are not clamped: that would cost a tile of few steps
  // several per cent.
  const Final final = finalOf(call);
  if (final == kAsTheyAre) {
    storeAll([](f32x4 y, int) { return y; });
  } else if (final == kClamped) {
    const f32x4 low = loadSplat(&call->low);
    const f32x4 high = highOf(call);
    storeAll([&](f32x4 y, int) { return clamp(y, low, high); });
  } else {
    f32x4 slope[NV];
    IM2WIN_UNROLL for (int v = 0; v < NV; ++v) {
      slope[v] = load(call->terms[v / 2].slopeOrLow + v % 2 * 4);
    }
    storeAll([&](f32x4 y, int v) { return prelu(y, slope[v]); });
  }
}
