// One block of output rows: every panel times every window of the block.
#include "rows.h"

// A filter that stays in the first-level cache as a whole is multiplied by a
// few windows at a time, whose output pixels are then written in full. So is a
// larger one whose windows are smaller than their output: what a pass over many
// windows wrote for one panel would be gone when the next panel's comes to it.
constexpr uint32_t kFewTiles = 8;

IM2WIN_INLINE bool takesFewWindows(uint32_t depth, uint32_t outChannels) {
  const uint32_t filterBytes = depth * outChannels * 4;
  return filterBytes <= 16 * 1024 ||
         (filterBytes <= 64 * 1024 && outChannels >= depth);
}

// Else panels outside, tiles inside: a panel stays in the first-level cache
// while the block's windows, which the caller keeps small, come from the
// second. A panel of at most four channels takes one vector for each window,
// and so more windows at a time: fewer than eight sums would wait for each
// other.
template <uint32_t MR>
IM2WIN_INLINE void gemm(const ConvCall* call, const float* a, float* c,
                        uint32_t rows) {
  const uint32_t outChannels = call->outChannels;
  const uint32_t depth = depthOf(call);
  const uint32_t panelFloats = depth * kNR;
  const uint32_t panels = (outChannels + kNR - 1) / kNR;
  const bool few = takesFewWindows(depth, outChannels);
  // Such a filter's panels are near. Its windows are not, where they lie in the
  // input side by side: then each panel touches a part of the next ones.
  const bool touchesWindows = few && call->windowStride == int32_t(depth);
  const uint32_t most = few ? kFewTiles * MR : -1u;
  Cursor at = {a, c, 0, 0};
  Shares wide, narrow;
  uint32_t shared = 0;
  for (uint32_t left = rows * call->rowLength; left != 0;) {
    const uint32_t count = left < most ? left : most;
    left -= count;
    const uint32_t coming = (left < count ? left : count) * depth;
    const uint32_t part = touchesWindows ? coming / panels : panelFloats;
    if (count != shared) {
      wide = sharesOf(count, MR, depth, part);
      narrow = sharesOf(count, 8, depth, part);
      shared = count;
    }
    const float* panel = call->panels;
    const float* next = at.a + count * depth;
    for (uint32_t n = 0; n < outChannels; n += kNR) {
      const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
      const float* following =
          n + kNR < outChannels ? panel + panelFloats : call->panels;
      const Ahead ahead = {touchesWindows ? next : following, part};
      panelRowsOf(call, panel, n, width, at, wide, narrow, ahead);
      panel += panelFloats;
      next += part;
    }
    at = advance(call, at, count);
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
