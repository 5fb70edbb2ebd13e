// A job: one flat record in the heap, written by TypeScript once a route and
// patched at each call; see job.def. A job has tasks, numbered from 0, each of
// which computes a part of the output that no other touches, from the job and
// from a scratch of its thread's own. Nothing in a job changes while it runs.
#pragma once

#include "epilogue.h"
#include "task.h"

// The numbers are shared with src/wasm/job.ts.
enum Algorithm : int32_t {
  kIm2win = 0,
  kWinograd = 1,
  kDepthwise = 2,
};

enum Source : int32_t {
  kFromInput = 0,
  kFromRows = 1,
  kFromStrips = 2,
};

struct ConvJob {
#define FIELD(type, name) type name;
#include "job.def"
#undef FIELD
};

// A piece of the output that is gathered for, and multiplied, at a time: some
// output rows of an image, or parts of them.
struct Block {
  int32_t image;
  int32_t row;
  int32_t rows;
  int32_t strip;  // The first of `stripsPerBlock`.
};

IM2WIN_INLINE Block blockOf(const ConvJob* job, uint32_t number) {
  const uint32_t perRow = job->strips / job->stripsPerBlock;
  const uint32_t rowBlock = number / perRow;
  Block block;
  block.strip = (number - rowBlock * perRow) * job->stripsPerBlock;
  block.image = rowBlock / job->rowBlocks;
  block.row = (rowBlock - block.image * job->rowBlocks) * job->rowsPerBlock;
  block.rows = least(job->rowsPerBlock, job->rowsPerImage - block.row);
  return block;
}

IM2WIN_INLINE uint32_t blocksOf(const ConvJob* job) {
  return job->strips / job->stripsPerBlock * job->rowBlocks * job->images;
}

// What the call descriptor says of the epilogue, for a block whose first output
// pixel is `pixel` of `row`, and pixels of which are `pixelStep` apart.
IM2WIN_INLINE void writeEpilogue(ConvCall* call, const ConvJob* job,
                                 const Block& block, int32_t pixel,
                                 int32_t pixelStep, Channels channels) {
  call->activation = job->activation;
  call->low = job->low;
  call->high = job->high;
  call->alpha = job->alpha;
  call->beta = job->beta;
  call->residualAfterActivation = job->residualAfterActivation;
  call->bias = {nullptr, 0, 0, 0};
  call->slope = {nullptr, 0, 0, 0};
  call->residual = {nullptr, 0, 0, 0};
  if (job->bias) {
    const float* data = job->bias + block.image * job->biasBatch +
                        block.row * job->biasRow + pixel * job->biasPixel +
                        channels.first * job->biasChannel;
    call->bias = {data, job->biasRow, pixelStep * job->biasPixel,
                  job->biasChannel};
  }
  if (job->slope) {
    const float* data = job->slope + block.image * job->slopeBatch +
                        block.row * job->slopeRow + pixel * job->slopePixel +
                        channels.first * job->slopeChannel;
    call->slope = {data, job->slopeRow, pixelStep * job->slopePixel,
                   job->slopeChannel};
  }
  if (job->residual) {
    const float* data = job->residual + block.image * job->residualBatch +
                        block.row * job->residualRow +
                        pixel * job->residualPixel +
                        channels.first * job->residualChannel;
    call->residual = {data, job->residualRow, pixelStep * job->residualPixel,
                      job->residualChannel};
  }
  writeFinal(call);
}
