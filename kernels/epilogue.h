// The epilogue: bias, activation and store.
#pragma once

#include "call.h"

// A bias that depends on the channel alone is where the sums begin.
IM2WIN_INLINE bool biasComesFirst(const ConvCall* call) {
  const Operand& bias = call->bias;
  return !bias.data ||
         (bias.channelStride == 1 && (bias.rowStride | bias.pixelStride) == 0);
}

// The usual epilogue, such a bias and a clamp, is computed in registers: sums
// are clamped when they are stored. In all other cases the sums are stored as
// they are, and finished in place while they are still in the first-level
// cache.
IM2WIN_INLINE bool finishesInRegisters(const ConvCall* call) {
  return call->activation == kClamp && biasComesFirst(call);
}

// What the sums of `lanes` (1 to 4) channels from n on begin with.
IM2WIN_INLINE f32x4 firstSum(const ConvCall* call, uint32_t n, uint32_t lanes) {
  if (!call->bias.data || !biasComesFirst(call)) return splat(0.0f);
  return loadLanes(call->bias.data + n, lanes);
}

// What a sum is clamped to when it is stored.
struct Bounds {
  bool none;
  f32x4 low;
  f32x4 high;
};

IM2WIN_INLINE Bounds boundsOf(const ConvCall* call, bool inRegisters) {
  const float infinity = __builtin_inff();
  const float low = inRegisters ? call->low : -infinity;
  const float high = inRegisters ? call->high : infinity;
  return {low == -infinity && high == infinity, splat(low), splat(high)};
}

IM2WIN_INLINE f32x4 operandAt(const Operand& operand, uint32_t r, uint32_t j,
                              uint32_t n, uint32_t lanes) {
  const float* p =
      operand.data + r * operand.rowStride + j * operand.pixelStride;
  if (operand.channelStride == 0) return loadSplat(p);
  if (operand.channelStride == 1) return loadLanes(p + n, lanes);
  // Planes.
  p += n * operand.channelStride;
  f32x4 v = wasm_v128_load32_zero(p);
  p += operand.channelStride;
  if (lanes > 1) v = wasm_v128_load32_lane(p, v, 1);
  p += operand.channelStride;
  if (lanes > 2) v = wasm_v128_load32_lane(p, v, 2);
  p += operand.channelStride;
  if (lanes > 3) v = wasm_v128_load32_lane(p, v, 3);
  return v;
}

// Finishes the `width` channels from n on of `count` pixels of output row r,
// from pixel j on, whose sums are stored at c.
IM2WIN_NOINLINE void finishPixels(const ConvCall* call, float* c, uint32_t r,
                                  uint32_t j, uint32_t n, uint32_t width,
                                  uint32_t count) {
  const bool biased = biasComesFirst(call);
  const Operand& slope = call->slope;
  if (biased && call->activation == kPrelu &&
      (slope.rowStride | slope.pixelStride) == 0) {
    for (uint32_t v = 0; v < width; v += 4) {
      const uint32_t lanes = width - v;
      const f32x4 slopes = operandAt(slope, 0, 0, n + v, lanes);
      float* at = c + v;
      for (uint32_t i = 0; i < count; ++i, at += call->outPixelStride) {
        storeLanes(at, prelu(loadLanes(at, lanes), slopes), lanes);
      }
    }
    return;
  }
  for (uint32_t i = 0; i < count; ++i, c += call->outPixelStride) {
    for (uint32_t v = 0; v < width; v += 4) {
      const uint32_t lanes = width - v;
      f32x4 y = loadLanes(c + v, lanes);
      if (!biased) {
        y = wasm_f32x4_add(y, operandAt(call->bias, r, j + i, n + v, lanes));
      }
      switch (call->activation) {
        case kClamp:
          y = clamp(y, splat(call->low), splat(call->high));
          break;
        case kPrelu:
          y = prelu(y, operandAt(call->slope, r, j + i, n + v, lanes));
          break;
        case kSigmoid:
          y = sigmoid(y);
          break;
        case kElu:
          y = elu(y);
          break;
      }
      storeLanes(c + v, y, lanes);
    }
  }
}
