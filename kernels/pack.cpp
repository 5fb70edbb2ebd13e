// Filter packing: a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], to panels of NR output channels in the strip's order.
#define IM2WIN_FEW IM2WIN_INLINE
#include "winograd_pack.h"

// The channels of a tap of tfjs's filter, [inChannels, outChannels].
struct Tap {
  uint32_t inChannels;
  uint32_t outChannels;
};

// `count` taps of one side of the filter, `step` floats apart.
struct Taps {
  uint32_t count;
  uint32_t step;
};

// One panel: [outer][inner][inChannels][NR], zeros behind `width`.
IM2WIN_NOINLINE void packPanel(float* panel, const float* filter, Taps outer,
                               Taps inner, Tap tap, uint32_t width) {
  for (uint32_t o = 0; o < outer.count; ++o) {
    for (uint32_t i = 0; i < inner.count; ++i) {
      const float* from = filter + o * outer.step + i * inner.step;
      for (uint32_t ci = 0; ci < tap.inChannels; ++ci) {
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
        from += tap.outChannels;
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
  const uint32_t outChannels = job->outChannels;
  const Tap tap = {uint32_t(job->inChannels), outChannels};
  const uint32_t tapStep = job->inChannels * outChannels;
  const Taps column = {uint32_t(job->filterWidth), tapStep};
  const Taps row = {uint32_t(job->filterHeight), rowTapsOf(job) * tapStep};
  for (uint32_t panel = first; panel < last; ++panel) {
    const uint32_t n = panel * kNR;
    const uint32_t channels = outChannels - n < kNR ? outChannels - n : kNR;
    packPanel(panels + n * job->depth, filter + n, byStrips ? column : row,
              byStrips ? row : column, tap, channels);
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

// `count` taps of one side of a filter, every step-th from a first one on.
struct Phase {
  uint32_t first;
  uint32_t step;
  uint32_t count;
};

// The taps of a phase along both sides, in a filter of so many columns.
struct Phases {
  uint32_t filterWidth;
  Phase rows;
  Phase columns;
};

// The taps of a phase of a tfjs filter, [filterHeight, filterWidth, inChannels,
// outChannels], as a filter of their own, [rows, columns, outChannels,
// channels]: its last tap is the phase's first. Its `channels` are those of one
// tap, or of several side by side.
IM2WIN_NOINLINE void flip(float* to, const float* filter, Tap size,
                          Phases phases, uint32_t channels) {
  const Phase rows = phases.rows;
  const Phase columns = phases.columns;
  const uint32_t outChannels = size.outChannels;
  const uint32_t tapFloats = size.inChannels * outChannels;
  for (uint32_t row = rows.count; row-- != 0;) {
    for (uint32_t column = columns.count; column-- != 0;) {
      const uint32_t from =
          (rows.first + row * rows.step) * phases.filterWidth + columns.first +
          column * columns.step;
      const float* tap = filter + from * tapFloats;
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
    const Tap tap = {uint32_t(job->tapChannels), uint32_t(job->inChannels)};
    const Phase rows = {job->firstTapRow + repeat, uint32_t(job->tapRowStep),
                        uint32_t(job->filterHeight)};
    const Phase columns = {uint32_t(job->firstTapColumn),
                           uint32_t(job->tapColumnStep),
                           uint32_t(job->filterWidth)};
    flip(at, job->filter, tap, {uint32_t(job->tapWidth), rows, columns},
         job->outChannels);
    packPanels(job, job->panels + repeat * job->repeatPanelFloats, at, 0,
               panels);
  }
}
