// The epilogue: bias, activation and store of a tile that is still in
// registers.
#pragma once

#include "call.h"

IM2WIN_INLINE f32x4 operandAt(const Operand& operand, uint32_t r, uint32_t j,
                              uint32_t n, uint32_t lanes) {
  const float* p =
      operand.data + r * operand.rowStride + j * operand.pixelStride;
  if (operand.channelStride == 0) return loadSplat(p);
  return loadLanes(p + n, lanes);
}

// Finishes `lanes` (1 to 4) channels of one output pixel: adds the bias,
// applies the activation, writes them to c. The general case, called per
// vector.
IM2WIN_NOINLINE void finish(const ConvCall* call, f32x4 sum, uint32_t r,
                            uint32_t j, uint32_t n, uint32_t lanes, float* c) {
  if (call->bias.data) {
    sum = wasm_f32x4_add(sum, operandAt(call->bias, r, j, n, lanes));
  }
  switch (call->activation) {
    case kClamp:
      sum = clamp(sum, splat(call->low), splat(call->high));
      break;
    case kPrelu:
      sum = prelu(sum, operandAt(call->slope, r, j, n, lanes));
      break;
    case kSigmoid:
      sum = sigmoid(sum);
      break;
    case kElu:
      sum = elu(sum);
      break;
  }
  storeLanes(c, sum, lanes);
}

// Whether a tile can finish without looking at each pixel: a clamp, and no bias
// or one value for each channel.
IM2WIN_INLINE bool finishesByChannel(const ConvCall* call) {
  const Operand& bias = call->bias;
  return call->activation == kClamp &&
         (!bias.data || (bias.channelStride == 1 &&
                         (bias.rowStride | bias.pixelStride) == 0));
}

// The bias of `lanes` (1 to 4) channels from n on, for a tile that finishes by
// channel.
IM2WIN_INLINE f32x4 biasOfChannels(const ConvCall* call, uint32_t n,
                                   uint32_t lanes) {
  return call->bias.data ? loadLanes(call->bias.data + n, lanes) : splat(0.0f);
}
