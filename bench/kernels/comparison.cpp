// The library's tile, panels and strips one by one, for contenders that lay out
// their matrix in another way.
#include "gemm.h"
#include "strip.h"

// Writes strips, stripStride floats apart: see Gather in kernels/strip.h.
IM2WIN_EXPORT(strips)
void strips(float* to, const float* x, int32_t inHeight, int32_t inWidth,
            int32_t inChannels, int32_t filterHeight, int32_t firstRow,
            int32_t rowStep, int32_t firstColumn, int32_t columnStep,
            int32_t columns, int32_t groupStep, int32_t groups, int32_t count,
            int32_t stripStride, int32_t stripStep) {
  gatherStrips(to, x,
               {inHeight, inWidth, inChannels, filterHeight, firstRow, rowStep,
                firstColumn, columnStep, columns, groupStep, groups, count,
                stripStride, stripStep});
}

// Writes the call descriptor of a product at `to`: rows of `rowLength` windows,
// each of `segments` segments, times all panels, with a bias for each channel
// (or null) and a clamp.
IM2WIN_EXPORT(describe)
void describe(ConvCall* to, const float* panels, const float* bias, float low,
              float high, int32_t outChannels, int32_t rowLength,
              int32_t segmentLength, int32_t segments, int32_t segmentStride,
              int32_t windowStride, int32_t windowRowStride) {
  to->segmentLength = segmentLength;
  to->segments = segments;
  to->segmentStride = segmentStride;
  to->outChannels = outChannels;
  to->panels = panels;
  to->rowLength = rowLength;
  to->windowStride = windowStride;
  to->windowRowStride = windowRowStride;
  to->outPixelStride = outChannels;
  to->outRowStride = outChannels * rowLength;
  to->tall = 0;
  to->activation = kClamp;
  to->low = low;
  to->high = high;
  to->alpha = 0.0f;
  to->beta = 0.0f;
  to->bias = {bias, 0, 0, 1};
  to->slope = {nullptr, 0, 0, 0};
  to->residual = {nullptr, 0, 0, 0};
  to->residualAfterActivation = 0;
  writeFinal(to);
}

// Multiplies `rows` rows of windows at a, as described at `call`, to c.
IM2WIN_EXPORT(product)
void product(const ConvCall* call, const float* a, float* c, uint32_t rows) {
  gemm(call, a, c, rows);
}
