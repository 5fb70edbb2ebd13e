// Filter packing: a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], to panels of NR output channels in the strip's order.
#include "winograd_pack.h"

// One panel: [outer][inner][inChannels][NR], zeros behind `width`. Taps are
// `outerStep` and `innerStep` floats apart in the filter.
IM2WIN_NOINLINE void packPanel(float* panel, const float* filter,
                               uint32_t outer, uint32_t outerStep,
                               uint32_t inner, uint32_t innerStep,
                               uint32_t inChannels, uint32_t outChannels,
                               uint32_t width) {
  for (uint32_t o = 0; o < outer; ++o) {
    for (uint32_t i = 0; i < inner; ++i) {
      const float* from = filter + o * outerStep + i * innerStep;
      for (uint32_t ci = 0; ci < inChannels; ++ci) {
        if (width == kNR) {
          IM2WIN_UNROLL for (uint32_t v = 0; v < kNR; v += 4) {
            store(panel + v, load(from + v));
          }
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

// Writes panels [first, last) of filterWidth * filterHeight * inChannels * NR
// floats each.
IM2WIN_NOINLINE void packIm2win(const ConvJob* job, float* panels,
                                const float* filter, uint32_t first,
                                uint32_t last) {
  // In strips a window's columns follow one another, else its rows.
  const bool byStrips = job->source == kFromStrips;
  const uint32_t height = job->filterHeight;
  const uint32_t width = job->filterWidth;
  const uint32_t outChannels = job->outChannels;
  const uint32_t tapStep = job->inChannels * outChannels;
  const uint32_t rowStep = rowTapsOf(job) * tapStep;
  for (uint32_t panel = first; panel < last; ++panel) {
    const uint32_t n = panel * kNR;
    const uint32_t channels = outChannels - n < kNR ? outChannels - n : kNR;
    packPanel(panels + n * job->depth, filter + n, byStrips ? width : height,
              byStrips ? tapStep : rowStep, byStrips ? height : width,
              byStrips ? rowStep : tapStep, job->inChannels, outChannels,
              channels);
  }
}

IM2WIN_INLINE void packPanels(const ConvJob* job, float* panels,
                              const float* filter, uint32_t first,
                              uint32_t last) {
  if (job->algorithm == kWinograd) {
    packWinograd(job, panels, filter, first, last);
  } else {
    packIm2win(job, panels, filter, first, last);
  }
}

// rows x columns taps of a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], as a filter of their own, [rows, columns, outChannels,
// channels]: its last tap is (firstRow, firstColumn), the one before it a step
// further. Its `channels` are those of one tap, or of several side by side.
IM2WIN_NOINLINE void flip(float* to, const float* filter, uint32_t filterWidth,
                          uint32_t inChannels, uint32_t outChannels,
                          uint32_t firstRow, uint32_t rowStep, uint32_t rows,
                          uint32_t firstColumn, uint32_t columnStep,
                          uint32_t columns, uint32_t channels) {
  const uint32_t tapFloats = inChannels * outChannels;
  for (uint32_t row = rows; row-- != 0;) {
    for (uint32_t column = columns; column-- != 0;) {
      const float* tap = filter + ((firstRow + row * rowStep) * filterWidth +
                                   firstColumn + column * columnStep) *
                                      tapFloats;
      for (uint32_t ci = 0; ci < channels; ci += 4) {
        const uint32_t lanes = channels - ci;
        uint32_t co = 0;
        for (; lanes >= 4 && co + 4 <= outChannels; co += 4) {
          const float* from = tap + ci * outChannels + co;
          float* out = to + co * channels + ci;
          f32x4 v[4];
          IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
            v[i] = load(from + i * outChannels);
          }
          transpose(v);
          IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
            store(out + i * channels, v[i]);
          }
        }
        for (; co < outChannels; ++co) {
          for (uint32_t i = 0; i < lanes && i < 4; ++i) {
            to[co * channels + ci + i] = tap[(ci + i) * outChannels + co];
          }
        }
      }
      to += outChannels * channels;
    }
  }
}

// Packs the filter of a job: panels `first` to `last` (less one); or, where the
// filter is flipped, all panels of repeats `first` to `last`, by way of `at`,
// which has room for the flipped filter.
IM2WIN_EXPORT(im2win_pack)
void im2win_pack(const ConvJob* job, uint32_t first, uint32_t last, float* at) {
  if (job->tapWidth == 0) {
    packPanels(job, job->panels, job->filter, first, last);
    return;
  }
  const uint32_t panels = (job->outChannels + kNR - 1) / kNR;
  for (uint32_t repeat = first; repeat < last; ++repeat) {
    flip(at, job->filter, job->tapWidth, job->tapChannels, job->inChannels,
         job->firstTapRow + repeat, job->tapRowStep, job->filterHeight,
         job->firstTapColumn, job->tapColumnStep, job->filterWidth,
         job->outChannels);
    packPanels(job, job->panels + repeat * job->repeatPanelFloats, at, 0,
               panels);
  }
}
