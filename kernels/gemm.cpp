// One block of output rows: every panel times every window of the block.
#include "tile.h"

template <int NV>
IM2WIN_INLINE void tileOf(uint32_t rows, const ConvCall* call,
                          const float* panel, uint32_t n, uint32_t width,
                          Cursor at) {
  switch (rows) {
    case 1:
      return tile<1, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
    case 2:
      return tile<2, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
    case 3:
      return tile<3, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
    case 4:
      return tile<4, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
    case 5:
      return tile<5, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
    case 6:
      return tile<6, NV>(call, panel, n, width, at.a, at.c, at.r, at.j);
  }
}

// Panels outside, tiles inside: a panel stays in the first-level cache while
// the block's windows, which the caller keeps small, come from the second. The
// block's windows are shared out evenly, so that no tile is left with one.
template <uint32_t MR>
IM2WIN_INLINE void gemm(const ConvCall* call, const float* a, float* c,
                        uint32_t rows) {
  const uint32_t windows = rows * call->rowLength;
  const uint32_t tiles = (windows + MR - 1) / MR;
  if (tiles == 0) return;
  const uint32_t height = windows / tiles;
  const uint32_t taller = windows % tiles;
  const uint32_t outChannels = call->outChannels;
  const float* panel = call->panels;
  for (uint32_t n = 0; n < outChannels; n += kNR) {
    const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
    uint32_t m = 0;
    for (uint32_t t = 0; t < tiles; ++t) {
      const uint32_t r = m / call->rowLength;
      const uint32_t j = m - r * call->rowLength;
      const Cursor at = {a + r * call->windowRowStride + j * call->windowStride,
                         c + r * call->outRowStride + j * call->outPixelStride,
                         r, j};
      const uint32_t mr = height + (t < taller ? 1 : 0);
      if (width > 4) {
        tileOf<2>(mr, call, panel, n, width, at);
      } else {
        tileOf<1>(mr, call, panel, n, width, at);
      }
      m += mr;
    }
    panel += call->depth * kNR;
  }
}

// Writes `rows` output rows to c: [rows, rowLength, outChannels], spaced as the
// call says, from the windows at a. Operand rows count from the block's first.
// An entry point is named for its tile, MRxNR; the strict tile is one row
// lower, because a product that is not fused needs a register of its own.
#ifdef IM2WIN_RELAXED
IM2WIN_EXPORT(im2win_gemm_6x8)
void im2win_gemm_6x8(const ConvCall* call, const float* a, float* c,
                     uint32_t rows) {
  gemm<6>(call, a, c, rows);
}
#else
IM2WIN_EXPORT(im2win_gemm_5x8)
void im2win_gemm_5x8(const ConvCall* call, const float* a, float* c,
                     uint32_t rows) {
  gemm<5>(call, a, c, rows);
}
#endif
