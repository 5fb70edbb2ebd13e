// What a convolution's tiles need to know, written once a block into a thread's
// scratch: the kernels keep nothing of their own.
#pragma once

#include "pair.h"
#include "panel.h"

// A bias, a prelu slope or a residual that is added or applied to the output by
// broadcasting: its value for output channel n of pixel j in output row r is
// data[r * rowStride + j * pixelStride + n * channelStride]. Strides are in
// floats; data is null where there is none.
struct Operand {
  const float* data;
  int32_t rowStride;
  int32_t pixelStride;
  int32_t channelStride;
};

// The output channels [first, first + count).
struct Channels {
  int32_t first;
  int32_t count;
};

// An output pixel: where it is stored, and its output row and place there.
struct Pixel {
  float* c;
  uint32_t r;
  uint32_t j;
};

// Output rows of `rowLength` pixels, spaced as the call descriptor says.
struct OutputRows {
  float* c;
  uint32_t count;
};

// What becomes of sums on their way out of the registers.
enum Final : uint32_t {
  kAsTheyAre = 0,
  kClamped = 1,
  kSloped = 2,  // prelu with a slope for each channel, or one for all
};

// What sums of eight channels begin with, and what the epilogue has for each of
// them: slopes where they are sloped, else the lower bound.
struct Terms {
  float first[8];
  float slopeOrLow[8];
};

struct ConvCall {
  // The matrices: `rowLength` windows for each output row. A window is
  // `segments` runs of `segmentLength` floats, each starting `segmentStride`
  // floats behind the one before. Windows are `windowStride` floats apart, and
  // may overlap; output rows are `windowRowStride` apart on the input's side.
  int32_t segmentLength;
  int32_t segments;
  int32_t segmentStride;
  int32_t outChannels;
  const float* panels;
  int32_t rowLength;
  int32_t windowStride;
  int32_t windowRowStride;
  int32_t outPixelStride;
  int32_t outRowStride;
  // The epilogue.
  int32_t activation;
  float low;
  float high;
  float alpha;
  float beta;
  Operand bias;
  Operand slope;
  Operand residual;
  int32_t residualAfterActivation;
  // What the tiles do of it, and whether that is all.
  Final final;
  int32_t finishesInRegisters;
  // Whether even tiles may be tall.
  int32_t tall;
  // Of a panel's channels, or of more; and a tile's own, where it is not whole:
  // its windows, and then, when these were read, its sums.
  union {
    Terms terms[kMostTerms];
    struct {
      Terms ofPanel[kNR / 8];
      union {
        const float* windows[8];
        float
            sums[kTallMR * kNR > kNarrowMR * 4 ? kTallMR * kNR : kNarrowMR * 4];
      };
    } scratch;
  };
};

// Windows of a whole even tile, where there are so many windows. With eight or
// more there are at least four in each tile of either height, and these are
// summed alike: no sum depends on it.
IM2WIN_INLINE uint32_t tileRows(const ConvCall* call, uint32_t windows) {
  return kTallMR > kMR && call->tall && windows >= 8 ? kTallMR : kMR;
}

// The floats of a window, and the rows of a panel.
IM2WIN_INLINE uint32_t depthOf(const ConvCall* call) {
  return call->segmentLength * call->segments;
}

// What a scratch begins with two of, in whole cache lines.
constexpr uint32_t kCallNeeds =
    (sizeof(ConvCall) + 4 * kLine - 1) / (4 * kLine) * (4 * kLine);
static_assert(kCallBytes == kCallNeeds,
              "callBytes in kernels/targets.def: what is given == what is due");
