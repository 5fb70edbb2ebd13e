// The epilogue: bias, activation and store.
#pragma once

#include "call.h"

// A bias that depends on the channel alone is where the sums begin.
IM2WIN_INLINE bool biasComesFirst(const ConvCall* call) {
  const Operand& bias = call->bias;
  return !bias.data ||
         (bias.channelStride == 1 && (bias.rowStride | bias.pixelStride) == 0);
}

// The usual epilogues, such a bias and then a clamp or a prelu by channel, are
// computed in registers. In all other cases the sums are stored as they are,
// and finished in place while they are still in the first-level cache. Written
// once a block: tiles read it where they begin.
IM2WIN_INLINE void writeFinal(ConvCall* call) {
  const Operand& slope = call->slope;
  const bool sloped =
      call->activation == kPrelu && (slope.rowStride | slope.pixelStride) == 0;
  call->finishesInRegisters = biasComesFirst(call) && !call->residual.data &&
                              (call->activation == kClamp || sloped);
  const float infinity = __builtin_inff();
  const bool bounded = call->low != -infinity || call->high != infinity;
  call->final = !call->finishesInRegisters ? kAsTheyAre
                : sloped                   ? kSloped
                : bounded                  ? kClamped
                                           : kAsTheyAre;
}

IM2WIN_INLINE bool finishesInRegisters(const ConvCall* call) {
  return call->finishesInRegisters;
}

IM2WIN_INLINE Final finalOf(const ConvCall* call) { return call->final; }

// The bias that the sums from channel n on begin with; null if with zeros.
IM2WIN_INLINE const float* firstBias(const ConvCall* call, uint32_t n) {
  const float* bias = call->bias.data;
  return bias && biasComesFirst(call) ? bias + n : nullptr;
}

// What the sums of `lanes` channels (of which four count) from n on begin with.
IM2WIN_INLINE f32x4 firstSum(const ConvCall* call, uint32_t n, uint32_t lanes) {
  const float* bias = firstBias(call, n);
  return bias ? loadLanes(bias, lanes) : splat(0.0f);
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

// The slopes of `lanes` channels from n on, where these do not depend on the
// pixel.
IM2WIN_INLINE f32x4 slopeOf(const ConvCall* call, uint32_t n, uint32_t lanes) {
  return operandAt(call->slope, 0, 0, n, lanes);
}

// Writes the terms of `count` channels from n on, whole vectors of them.
IM2WIN_SMALL void writeTerms(const ConvCall* call, uint32_t n, uint32_t count) {
  Terms* terms = const_cast<ConvCall*>(call)->terms;
  const bool sloped = finalOf(call) == kSloped;
  for (uint32_t v = 0; v < count; v += 4) {
    const uint32_t lanes = count - v;
    Terms* own = terms + v / 8;
    store(own->first + v % 8, firstSum(call, n + v, lanes));
    store(own->slopeOrLow + v % 8,
          sloped ? slopeOf(call, n + v, lanes) : loadSplat(&call->low));
  }
}

IM2WIN_INLINE f32x4 highOf(const ConvCall* call) {
  return loadSplat(&call->high);
}

template <typename Vector>
IM2WIN_INLINE Vector finished(Vector y, Final final, Vector slopeOrLow,
                              Vector high) {
  if (final == kSloped) return prelu(y, slopeOrLow);
  if (final == kClamped) return clamp(y, slopeOrLow, high);
  return y;
}

// The bounds of a clamp. Sums that are stored as they are get infinite ones.
struct Bounds {
  float low;
  float high;
};

IM2WIN_INLINE Bounds boundsOf(const ConvCall* call, Final final) {
  return {
      final == kClamped ? call->low : -__builtin_inff(),
      final == kClamped ? call->high : __builtin_inff(),
  };
}

// Finishes whole vectors of channels, whose residual, if there is one, lies as
// they do.
template <typename Activate>
IM2WIN_INLINE void finishVectors(const ConvCall* call, Pixel first,
                                 Channels channels, uint32_t count,
                                 Activate activate) {
  // Read before anything is stored: the compiler cannot know that no store
  // changes the call.
  const Operand residual = call->residual;
  const uint32_t isLast = call->residualAfterActivation;
  const uint32_t outPixelStride = call->outPixelStride;
  const uint32_t width = channels.count;
  const float* from = residual.data + first.r * residual.rowStride +
                      first.j * residual.pixelStride + channels.first;
  float* c = first.c;
  for (; count != 0; --count) {
    for (uint32_t v = 0; v < width; v += 4) {
      // Pinned, or the compiler writes the loop anew for each case.
      uint32_t before = residual.data && !isLast;
      uint32_t after = residual.data && isLast;
      pin(before);
      pin(after);
      f32x4 y = load(c + v);
      if (before) y = wasm_f32x4_add(y, load(from + v));
      y = activate(y);
      if (after) y = wasm_f32x4_add(y, load(from + v));
      store(c + v, y);
    }
    c += outPixelStride;
    from += residual.pixelStride;
  }
}

// Any activation of one vector of sums.
IM2WIN_NOINLINE f32x4 activated(const ConvCall* call, f32x4 y, f32x4 slope) {
  switch (call->activation) {
    case kClamp:
      return clamp(y, splat(call->low), splat(call->high));
    case kPrelu:
      return prelu(y, slope);
    case kHardsigmoid:
      return hardsigmoid(y, splat(call->alpha), splat(call->beta));
    case kHardswish:
      return hardswish(y, splat(call->alpha), splat(call->beta));
    case kGelu:
    case kGeluNew:
      slope = geluGate(call->activation, y);
      return gated(call->activation, y, slope, ExpTerms());
    case kSilu:
    case kSigmoid:
      return gated(call->activation, y, y, ExpTerms());
    default:
      return eluOrTanh(call->activation, y, ExpTerms());
  }
}

// Finishes `channels` of `count` pixels of an output row, whose sums are
// stored, from the first channel of the first pixel on, at first.c.
IM2WIN_NOINLINE void finishPixels(const ConvCall* call, Pixel first,
                                  Channels channels, uint32_t count) {
  const bool biased = biasComesFirst(call);
  const int32_t activation = call->activation;
  const uint32_t width = channels.count;
  if (biased && activation != kPrelu && activation < kGelu && width % 4 == 0 &&
      (!call->residual.data || call->residual.channelStride == 1)) {
    const f32x4 alpha = splat(call->alpha);
    const f32x4 beta = splat(call->beta);
    const auto finish = [&](auto activate) __attribute__((always_inline)) {
      finishVectors(call, first, channels, count, activate);
    };
    if (activation == kClamp) {
      const f32x4 low = splat(call->low);
      const f32x4 high = splat(call->high);
      finish([&](f32x4 y) { return clamp(y, low, high); });
    } else if (activation == kHardsigmoid) {
      finish([&](f32x4 y) { return hardsigmoid(y, alpha, beta); });
    } else if (activation == kHardswish) {
      finish([&](f32x4 y) { return hardswish(y, alpha, beta); });
    } else {
      ExpTerms terms;
      terms.hold();
      // Pinned, or the compiler writes the loops anew for each of two.
      int32_t own = activation;
      if (own == kSilu || own == kSigmoid) {
        finish([&](f32x4 y) {
          pin(own);
          return gated(own, y, y, terms);
        });
      } else {
        finish([&](f32x4 y) {
          pin(own);
          return eluOrTanh(own, y, terms);
        });
      }
    }
    return;
  }
  const bool isLast = call->residualAfterActivation;
  const uint32_t r = first.r;
  float* c = first.c;
  for (uint32_t i = 0; i < count; ++i, c += call->outPixelStride) {
    const uint32_t j = first.j + i;
    for (uint32_t v = 0; v < width; v += 4) {
      const uint32_t n = channels.first + v;
      const uint32_t lanes = width - v;
      const auto operand =
          [&](const Operand& own) __attribute__((always_inline)) {
            return own.data ? operandAt(own, r, j, n, lanes) : splat(0.0f);
          };
      const f32x4 residual = operand(call->residual);
      f32x4 y = loadLanes(c + v, lanes);
      if (!biased) y = wasm_f32x4_add(y, operand(call->bias));
      if (!isLast) y = wasm_f32x4_add(y, residual);
      y = activated(call, y, operand(call->slope));
      if (isLast) y = wasm_f32x4_add(y, residual);
      storeLanes(c + v, y, lanes);
    }
  }
}
