// What a convolution's tiles need to know, written by the caller into memory it
// owns, once a call: the kernels keep nothing of their own. Every field is four
// bytes; src/wasm/convCall.ts writes them in this order.
#pragma once

#include "activation.h"

// A bias or a prelu slope that is added or applied to the output by
// broadcasting: its value for output channel n of pixel j in output row r is
// data[r * rowStride + j * pixelStride + n * channelStride], channelStride
// being 0 or 1. Strides are in floats; data is null where there is none.
struct Operand {
  const float* data;
  int32_t rowStride;
  int32_t pixelStride;
  int32_t channelStride;
};

struct ConvCall {
  // The matrices: `rowLength` windows of `depth` floats for each output row;
  // windows are `windowStride` floats apart and overlap where that is less than
  // depth; output rows are `windowRowStride` apart on the input's side.
  int32_t depth;
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
  Operand bias;
  Operand slope;
};

static_assert(sizeof(ConvCall) == 19 * 4, "src/wasm/convCall.ts counts fields");
