// Filter packing: a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], to panels of NR output channels in the strip's order.
#include "panel.h"

// One panel: [filterWidth][filterHeight][inChannels][NR], zeros behind `width`.
IM2WIN_NOINLINE void packPanel(float* panel, const float* filter,
                               uint32_t filterHeight, uint32_t filterWidth,
                               uint32_t inChannels, uint32_t outChannels,
                               uint32_t width) {
  for (uint32_t kw = 0; kw < filterWidth; ++kw) {
    for (uint32_t kh = 0; kh < filterHeight; ++kh) {
      const float* from =
          filter + (kh * filterWidth + kw) * inChannels * outChannels;
      for (uint32_t ci = 0; ci < inChannels; ++ci) {
        if (width == kNR) {
          store(panel, load(from));
          store(panel + 4, load(from + 4));
        } else {
          for (uint32_t n = 0; n < kNR; ++n) {
            panel[n] = n < width ? from[n] : 0.0f;
          }
        }
        panel += kNR;
        from += outChannels;
      }
    }
  }
}

// Writes ceil(outChannels / NR) panels of filterWidth * filterHeight *
// inChannels * NR floats each.
IM2WIN_EXPORT(im2win_pack)
void im2win_pack(float* panels, const float* filter, uint32_t filterHeight,
                 uint32_t filterWidth, uint32_t inChannels,
                 uint32_t outChannels) {
  const uint32_t depth = filterWidth * filterHeight * inChannels;
  for (uint32_t n = 0; n < outChannels; n += kNR) {
    const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
    packPanel(panels, filter + n, filterHeight, filterWidth, inChannels,
              outChannels, width);
    panels += depth * kNR;
  }
}
