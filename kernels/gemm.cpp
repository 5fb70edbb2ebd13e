// One block of output rows: every panel times every window of the block.
#include "tile.h"

template <int NV>
IM2WIN_INLINE void tileOf(uint32_t rows, const ConvCall* call,
                          const float* panel, uint32_t n, uint32_t width,
                          Cursor at) {
#define IM2WIN_TILE(MR) \
  case MR:              \
    return tile<MR, NV>(call, panel, n, width, at.a, at.c, at.r, at.j)
  switch (rows) {
    IM2WIN_TILE(1);
    IM2WIN_TILE(2);
    IM2WIN_TILE(3);
    IM2WIN_TILE(4);
    IM2WIN_TILE(5);
    IM2WIN_TILE(6);
  }
  if constexpr (NV == 1) {
    switch (rows) {
      IM2WIN_TILE(7);
      IM2WIN_TILE(8);
    }
  }
#undef IM2WIN_TILE
}

// One panel times every window of the block. The windows are shared out evenly,
// so that no tile is left with one.
template <int NV>
IM2WIN_INLINE void panelRows(const ConvCall* call, const float* panel,
                             uint32_t n, uint32_t width, const float* a,
                             float* c, uint32_t windows, uint32_t mr) {
  const uint32_t tiles = (windows + mr - 1) / mr;
  const uint32_t height = windows / tiles;
  const uint32_t taller = windows % tiles;
  Cursor at = {a, c, 0, 0};
  for (uint32_t t = 0; t < tiles; ++t) {
    const uint32_t rows = height + (t < taller ? 1 : 0);
    tileOf<NV>(rows, call, panel, n, width, at);
    for (uint32_t i = 0; i < rows; ++i) at = next(call, at);
  }
}

// Panels outside, tiles inside: a panel stays in the first-level cache while the
// block's windows, which the caller keeps small, come from the second. A panel
// of at most four channels takes one vector for each window, and so more
// windows at a time: fewer than eight sums would wait for each other.
template <uint32_t MR>
IM2WIN_INLINE void gemm(const ConvCall* call, const float* a, float* c,
                        uint32_t rows) {
  const uint32_t windows = rows * call->rowLength;
  if (windows == 0) return;
  const uint32_t outChannels = call->outChannels;
  const float* panel = call->panels;
  for (uint32_t n = 0; n < outChannels; n += kNR) {
    const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
    if (width > 4) {
      panelRows<2>(call, panel, n, width, a, c, windows, MR);
    } else {
      panelRows<1>(call, panel, n, width, a, c, windows, 8);
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
