// One block of output rows: every panel times every window of the block.
#include "rows.h"

// A filter that stays in the first-level cache as a whole is multiplied by a
// few windows at a time, whose output pixels are then written in full.
constexpr uint32_t kSmallFilterBytes = 16 * 1024;
constexpr uint32_t kFewTiles = 4;

// Else panels outside, tiles inside: a panel stays in the first-level cache
// while the block's windows, which the caller keeps small, come from the
// second. A panel of at most four channels takes one vector for each window,
// and so more windows at a time: fewer than eight sums would wait for each
// other.
template <uint32_t MR>
IM2WIN_INLINE void gemm(const ConvCall* call, const float* a, float* c,
                        uint32_t rows) {
  uint32_t windows = rows * call->rowLength;
  if (windows == 0) return;
  const uint32_t outChannels = call->outChannels;
  const uint32_t panelFloats = depthOf(call) * kNR;
  const bool small = outChannels * depthOf(call) * 4 <= kSmallFilterBytes;
  Cursor at = {a, c, 0, 0};
  uint32_t count = small && windows > kFewTiles * MR ? kFewTiles * MR : windows;
  Shares wide = sharesOf(count, MR);
  Shares narrow = sharesOf(count, 8);
  while (windows != 0) {
    if (windows < count) {
      count = windows;
      wide = sharesOf(count, MR);
      narrow = sharesOf(count, 8);
    }
    const float* panel = call->panels;
    for (uint32_t n = 0; n < outChannels; n += kNR) {
      const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
      const float* following =
          n + kNR < outChannels ? panel + panelFloats : call->panels;
      panelRowsOf(call, panel, n, width, at, wide, narrow, following);
      panel += panelFloats;
    }
    at = advance(call, at, count);
    windows -= count;
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
