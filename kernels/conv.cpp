// The forward algorithms: the tasks of a convolution's job.
#define IM2WIN_FEW IM2WIN_INLINE
#include "depthwise.h"
#include "gemm.h"
#include "job.h"
#include "planes.h"
#include "shallow.h"

// A thread's scratch: the descriptors of a block and of Winograd's products,
// then gathered columns, a block's windows or transformed rows, products, and
// output pixels on their way to planes. Where other tasks gather a block,
// `gathered` is no part of it but lies in the workspace.
struct Scratch {
  ConvCall* call;
  ConvCall* product;
  float* columns;
  float* gathered;
  float* products;
  float* pixels;
};

IM2WIN_INLINE Scratch scratchAt(const ConvJob* job, char* at) {
  char* columns = at + 2 * kCallBytes;
  char* own = columns + job->columnBytes;
  char* products = own + job->ownBytes;
  return {reinterpret_cast<ConvCall*>(at),
          reinterpret_cast<ConvCall*>(at + kCallBytes),
          reinterpret_cast<float*>(columns),
          reinterpret_cast<float*>(own),
          reinterpret_cast<float*>(products),
          reinterpret_cast<float*>(products + job->productBytes)};
}

IM2WIN_INLINE const float* imageOf(const ConvJob* job, int32_t image) {
  return job->x + image * job->inHeight * job->inWidth * job->inChannels;
}

// Input rows that the windows of `rows` output rows span.
IM2WIN_INLINE int32_t rowsUnder(const ConvJob* job, int32_t rows) {
  return (rows - 1) * job->strideHeight +
         (job->filterHeight - 1) * job->dilationHeight + 1;
}

IM2WIN_INLINE void gather(const ConvJob* job, float* to, const float* x,
                          Gather g) {
  g.inHeight = job->inHeight;
  g.inWidth = job->inWidth;
  g.inChannels = job->inChannels;
  if (job->planar) {
    gatherStripsOfPlanes(to, x, g);
  } else {
    gatherStrips(to, x, g);
  }
}

// Where a block's output pixels go: to the output, or for planes to the
// scratch, and from there to the planes when all are there.
struct Place {
  float* at;
  int32_t row;
  int32_t pixel;
};

IM2WIN_INLINE Place placeOf(const ConvJob* job, const Scratch& scratch,
                            float* output, const Block& block,
                            Channels channels) {
  if (job->outPlanes) {
    return {scratch.pixels, job->outWidth * channels.count, channels.count};
  }
  return {output + block.image * job->outImageStride +
              block.row * job->outRowStride + channels.first,
          job->outRowStride, job->outPixelStride};
}

// What is computed of a block: channels, by the panels of a filter, and where
// they go.
struct Outputs {
  Channels channels;
  const float* panels;
  Place place;
};

IM2WIN_INLINE void finishPlace(const ConvJob* job, const Scratch& scratch,
                               const Block& block, Channels channels) {
  if (!job->outPlanes) return;
  const int32_t planeFloats = job->outHeight * job->outWidth;
  spreadOverPlanes(
      job->output +
          (block.image * job->outChannels + channels.first) * planeFloats +
          block.row * job->outWidth,
      scratch.pixels, block.rows * job->outWidth, channels.count, planeFloats);
}

// im2win.

// Output pixels of a row that have a strip: those of a phase of the dilation,
// or a part of them. None where a phase has fewer parts than others.
struct Strip {
  int32_t firstPixel;
  int32_t pixels;
};

IM2WIN_INLINE Strip stripOf(const ConvJob* job, int32_t number) {
  const int32_t phase = number / job->stripsPerPhase;
  const int32_t first =
      (number - phase * job->stripsPerPhase) * job->pixelsPerStrip;
  const int32_t length =
      (job->outWidth - phase + job->phases - 1) / job->phases;
  return {phase + first * job->phases,
          most(0, least(job->pixelsPerStrip, length - first))};
}

IM2WIN_INLINE int32_t stripColumns(const ConvJob* job, int32_t pixels) {
  return job->grouped ? job->filterWidth
                      : (pixels - 1) * (job->windowStep / job->columnStep) +
                            job->filterWidth;
}

// Floats from one output row's windows to the next row's of strips, else from
// one input row to the next.
IM2WIN_INLINE int32_t stripRowFloats(const ConvJob* job, int32_t pixels) {
  if (job->source == kFromInput) return job->inWidth * job->inChannels;
  return stripColumns(job, pixels) * (job->grouped ? pixels : 1) *
         job->inChannels * (job->source == kFromStrips ? job->filterHeight : 1);
}

// The rows of a block that are gathered: strips, or input rows.
IM2WIN_INLINE int32_t rowsToGather(const ConvJob* job, const Block& block) {
  return job->source == kFromStrips ? block.rows : rowsUnder(job, block.rows);
}

// Gathers rows [first, last) of block `number` for the windows of strip
// `stripNumber`.
IM2WIN_NOINLINE void gatherBlock(const ConvJob* job, uint32_t number,
                                 int32_t stripNumber, float* to, int32_t first,
                                 int32_t last) {
  const Block block = blockOf(job, number);
  const Strip strip = stripOf(job, stripNumber);
  const bool byStrips = job->source == kFromStrips;
  const int32_t rowFloats = stripRowFloats(job, strip.pixels);
  Gather g = {};
  g.filterHeight = byStrips ? job->filterHeight : 1;
  g.rowStep = job->dilationHeight;
  g.firstColumn = strip.firstPixel * job->strideWidth - job->padLeft;
  g.columnStep = job->columnStep;
  g.columns = stripColumns(job, strip.pixels);
  g.groupStep = job->windowStep;
  g.groups = job->grouped ? strip.pixels : 1;
  g.stripStride = rowFloats;
  g.stripStep = byStrips ? job->strideHeight : 1;
  while (first < last) {
    // Rows of strips may go on from image to image.
    const int32_t own = block.row + first;
    const int32_t further = byStrips ? own / job->outHeight : 0;
    const int32_t ownRow = own - further * job->outHeight;
    g.strips =
        byStrips ? least(last - first, job->outHeight - ownRow) : last - first;
    g.firstRow = byStrips ? ownRow * job->strideHeight - job->padTop
                          : block.row * job->strideHeight - job->padTop + first;
    gather(job, to + first * rowFloats, imageOf(job, block.image + further), g);
    first += g.strips;
  }
}

IM2WIN_INLINE void multiplyStrip(const ConvJob* job, const Scratch& scratch,
                                 const Block& block, Strip strip,
                                 Outputs outputs) {
  const Channels channels = outputs.channels;
  const Place place = outputs.place;
  ConvCall* call = scratch.call;
  const bool byStrips = job->source == kFromStrips;
  const int32_t rowFloats = stripRowFloats(job, strip.pixels);
  call->segmentLength =
      byStrips ? job->depth : job->filterWidth * job->inChannels;
  call->segments = byStrips ? 1 : job->filterHeight;
  call->segmentStride = job->dilationHeight * rowFloats;
  call->outChannels = channels.count;
  call->panels = outputs.panels + channels.first * job->depth;
  call->rowLength = strip.pixels;
  call->windowStride = job->windowStride;
  call->windowRowStride = byStrips ? rowFloats : job->strideHeight * rowFloats;
  call->outPixelStride = job->phases * place.pixel;
  call->outRowStride = place.row;
  call->tall = job->tall;
  writeEpilogue(call, job, block, strip.firstPixel, job->phases, channels);
  const float* windows = job->source == kFromInput
                             ? imageOf(job, block.image) +
                                   block.row * job->strideHeight * rowFloats +
                                   strip.firstPixel * job->windowStride
                             : scratch.gathered;
  gemm(call, windows, place.at + strip.firstPixel * place.pixel, block.rows);
}

// Winograd.

// Tiles of a part of an output row.
struct Part {
  int32_t firstTile;
  int32_t tiles;
};

IM2WIN_INLINE Part partOf(const ConvJob* job, int32_t number) {
  const int32_t first = number * job->tilesPerPart;
  return {first, least(job->tilesPerPart, job->tiles - first)};
}

// How the transformed input of a block lies in memory; strides in floats.
// Nested, [row point][point][group of output rows][tile][phase][columnFloats],
// where a window is one segment; along the width alone, [input row][point]
// [tile][columnFloats], where it has one for each filter row.
struct Transformed {
  int32_t count, phases, rowStep;
  int32_t columnFloats, depth, rowFloats, pointStride;
};

IM2WIN_INLINE Transformed transformedOf(const ConvJob* job, int32_t rows,
                                        int32_t tiles) {
  const int32_t columnFloats = job->strideWidth * job->inChannels;
  if (job->rowPoints == 1) {
    return {rowsUnder(job, rows),
            1,
            1,
            columnFloats,
            columnFloats,
            job->points * tiles * columnFloats,
            tiles * columnFloats};
  }
  const int32_t count = (rows + job->rowOutputs - 1) / job->rowOutputs;
  const int32_t depth = job->rowPhases * columnFloats;
  return {count,
          job->rowPhases,
          job->rowOutputs * job->strideHeight,
          columnFloats,
          depth,
          tiles * depth,
          count * tiles * depth};
}

IM2WIN_INLINE Transforms transformsOf(const ConvJob* job) {
  return {uint32_t(job->points), uint32_t(job->outputs),
          uint32_t(job->rowPoints), uint32_t(job->rowOutputs)};
}

// Gathers and transforms rows of a block: input rows, or those under a group of
// output rows. A few tiles at a time.
IM2WIN_INLINE void transformBlock(const ConvJob* job, const Scratch& scratch,
                                  const Block& block, Part part, Share rows) {
  float* columns = scratch.columns;
  const Transformed t = transformedOf(job, block.rows, part.tiles);
  const int32_t tileColumns = job->outputs * job->strideWidth;
  for (int32_t r = rows.first; r < int32_t(rows.last); ++r) {
    for (int32_t phase = 0; phase < t.phases; ++phase) {
      for (int32_t tile = 0; tile < part.tiles; tile += job->tilesPerGather) {
        const int32_t some = least(job->tilesPerGather, part.tiles - tile);
        Gather g = {};
        g.filterHeight = 1;
        g.firstRow =
            block.row * job->strideHeight - job->padTop + r * t.rowStep + phase;
        g.rowStep = 1;
        g.firstColumn = (part.firstTile + tile) * tileColumns - job->padLeft;
        g.columnStep = 1;
        g.columns = (some * job->outputs + job->taps - 1) * job->strideWidth;
        g.groups = 1;
        g.strips = job->rowPoints;
        g.stripStride = (g.columns * job->inChannels + 7) & ~7;
        g.stripStep = t.phases;
        gather(job, columns, imageOf(job, block.image), g);
        InputTiles tiles;
        tiles.to = scratch.gathered + r * t.rowFloats + tile * t.depth +
                   phase * t.columnFloats;
        tiles.count = some;
        tiles.stride = t.depth;
        tiles.pointStride = t.pointStride;
        winogradInput(
            transformsOf(job),
            {columns, uint32_t(g.stripStride), uint32_t(t.columnFloats)},
            tiles);
      }
    }
  }
}

IM2WIN_INLINE void multiplyPart(const ConvJob* job, const Scratch& scratch,
                                const Block& block, Part part,
                                Outputs outputs) {
  const Channels channels = outputs.channels;
  const Place place = outputs.place;
  const Transformed t = transformedOf(job, block.rows, part.tiles);
  const bool nested = job->rowPoints > 1;
  const int32_t pixel = part.firstTile * job->outputs;
  const int32_t pixels =
      least(part.tiles * job->outputs, job->outWidth - pixel);
  const int32_t rowLength = nested ? t.count * part.tiles : part.tiles;

  ConvCall* product = scratch.product;
  product->segmentLength = t.depth;
  product->segments = nested ? 1 : job->filterHeight;
  product->segmentStride = t.rowFloats;
  product->outChannels = kNR;
  // A window of all points, NR channels wide, is a panel.
  const int32_t panelDepth =
      job->rowPoints * job->points * (nested ? 1 : job->filterHeight) * t.depth;
  product->panels = outputs.panels + channels.first * panelDepth;
  product->rowLength = rowLength;
  product->windowStride = t.depth;
  product->windowRowStride = nested ? 0 : job->strideHeight * t.rowFloats;
  product->outPixelStride = kNR;
  product->outRowStride = rowLength * kNR;
  product->tall = job->tall;
  product->activation = kClamp;
  product->low = -__builtin_inff();
  product->high = __builtin_inff();
  product->bias = {nullptr, 0, 0, 0};
  product->slope = {nullptr, 0, 0, 0};
  product->residual = {nullptr, 0, 0, 0};
  writeFinal(product);

  ConvCall* call = scratch.call;
  call->outChannels = channels.count;
  call->rowLength = pixels;
  call->outPixelStride = place.pixel;
  call->outRowStride = place.row;
  writeEpilogue(call, job, block, pixel, 1, channels);
  const OutputRows rows = {place.at + pixel * place.pixel,
                           uint32_t(block.rows)};
  if (job->shallow) {
    shallowProducts(call, product, scratch.gathered, rows);
  } else {
    winogradProducts(call, product, transformsOf(job), scratch.gathered, rows,
                     {scratch.products, uint32_t(job->group)});
  }
}

// Depthwise.

IM2WIN_INLINE void depthwiseBlock(const ConvJob* job, const Scratch& scratch,
                                  const Block& block, Place place) {
  ConvCall* call = scratch.call;
  call->outChannels = job->outChannels;
  call->rowLength = job->outWidth;
  call->outPixelStride = place.pixel;
  call->outRowStride = place.row;
  writeEpilogue(call, job, block, 0, 1, {0, job->outChannels});
  const float* x = imageOf(job, block.image);
  InputRows in = allRows(job);
  if (job->planar) {
    in = gatherInputRows(job, scratch.gathered, x, block.row, block.rows);
    x = scratch.gathered;
  } else {
    in.padTop -= block.row * job->strideHeight;
  }
  const DepthwiseFilter filter = {job->filter, uint32_t(job->inChannels),
                                  uint32_t(job->multiplier), job->rowTaps};
  const Side down = {in.count, job->filterHeight, job->strideHeight,
                     in.dilation, in.padTop};
  const Side across = {job->inWidth, job->filterWidth, job->strideWidth,
                       job->dilationWidth, job->padLeft};
  depthwiseRows(call, x, filter, {place.at, uint32_t(block.rows)}, down,
                across);
}

// Tasks. Each algorithm has a function of its own, since V8 compiles a function
// when it is first called: a network pays for the algorithms that it has.

// Even numbers below `count`, then odd ones. Threads compute the tasks that
// follow each other at the same time, and neighbours in a pixel share a cache
// line, which either would take from the other.
IM2WIN_INLINE uint32_t everyOther(uint32_t i, uint32_t count) {
  const uint32_t evens = (count + 1) / 2;
  return i < evens ? 2 * i : 2 * (i - evens) + 1;
}

// Gathers a part of a block for the tasks that multiply it: rows, or groups of
// transformed ones.
template <Algorithm kAlgorithm>
IM2WIN_INLINE void gatherShare(const ConvJob* job, const Scratch& scratch,
                               uint32_t number, int32_t first) {
  const Block block = blockOf(job, number);
  const int32_t last = first + job->rowsPerGather;
  if constexpr (kAlgorithm == kWinograd) {
    const Part part = partOf(job, block.strip);
    const int32_t count = transformedOf(job, block.rows, part.tiles).count;
    transformBlock(job, scratch, block, part,
                   {uint32_t(first), uint32_t(least(last, count))});
  } else if constexpr (kAlgorithm == kIm2win) {
    gatherBlock(job, number, block.strip, scratch.gathered, first,
                least(last, rowsToGather(job, block)));
  }
}

// Multiplies a share of a block's multiply tasks. The block is gathered first
// unless it is already.
template <Algorithm kAlgorithm>
IM2WIN_INLINE void multiplyShare(const ConvJob* job, const Scratch& scratch,
                                 uint32_t number, Share share, bool gathered) {
  const Block block = blockOf(job, number);
  const uint32_t panelTasks = job->panelTasks;
  // The scratch holds one strip's rows.
  const bool holds = job->stripsPerBlock == 1;
  for (uint32_t task = share.first; task < share.last; ++task) {
    const uint32_t repeat = task / panelTasks;
    const int32_t channel = (task - repeat * panelTasks) * job->channelsPerTask;
    const Channels channels = {
        channel, least(job->channelsPerTask, job->outChannels - channel)};
    const Outputs outputs = {
        channels, job->panels + repeat * job->repeatPanelFloats,
        placeOf(job, scratch, job->output + repeat * job->repeatOutputFloats,
                block, channels)};
    const bool gathers = !gathered && !(holds && task != share.first);
    if constexpr (kAlgorithm == kDepthwise) {
      depthwiseBlock(job, scratch, block, outputs.place);
    } else {
      for (int32_t s = block.strip; s < block.strip + job->stripsPerBlock;
           ++s) {
        if constexpr (kAlgorithm == kWinograd) {
          const Part part = partOf(job, s);
          if (gathers) {
            const Transformed t = transformedOf(job, block.rows, part.tiles);
            transformBlock(job, scratch, block, part, {0, uint32_t(t.count)});
          }
          multiplyPart(job, scratch, block, part, outputs);
        } else {
          const Strip strip = stripOf(job, s);
          if (strip.pixels == 0) continue;
          if (gathers && job->source != kFromInput) {
            gatherBlock(job, number, s, scratch.gathered, 0,
                        rowsToGather(job, block));
          }
          multiplyStrip(job, scratch, block, strip, outputs);
        }
      }
    }
    finishPlace(job, scratch, block, channels);
  }
}

// Tasks are numbered as src/tasks.ts has it: first those that compute a whole
// block; then, of the blocks that are shared out, the tasks that gather, and
// those that multiply.
template <Algorithm kAlgorithm>
IM2WIN_INLINE void computeTask(const ConvJob* job, char* at, uint32_t task) {
  Scratch scratch = scratchAt(job, at);
  const uint32_t whole = job->wholeBlocks;
  const uint32_t panelTasks = job->panelTasks;
  const uint32_t multiplies = job->repeats * panelTasks;
  if (task < whole) {
    multiplyShare<kAlgorithm>(job, scratch, task, {0, multiplies}, false);
    return;
  }
  const uint32_t gathers = job->gatherTasks;
  const uint32_t shared = blocksOf(job) - whole;
  const uint32_t blockFloats = job->gatheredBytes / sizeof(float);
  uint32_t own = task - whole;
  if (own < shared * gathers) {
    const uint32_t block = own / gathers;
    scratch.gathered = job->gathered + block * blockFloats;
    gatherShare<kAlgorithm>(job, scratch, whole + block,
                            (own - block * gathers) * job->rowsPerGather);
    return;
  }
  own -= shared * gathers;
  const uint32_t block = own / multiplies;
  own -= block * multiplies;
  const uint32_t repeat = own / panelTasks;
  const uint32_t first =
      repeat * panelTasks + everyOther(own - repeat * panelTasks, panelTasks);
  if (gathers != 0) scratch.gathered = job->gathered + block * blockFloats;
  multiplyShare<kAlgorithm>(job, scratch, whole + block, {first, first + 1},
                            gathers != 0);
}

IM2WIN_NOINLINE void im2winTask(const ConvJob* job, char* at, uint32_t task) {
  computeTask<kIm2win>(job, at, task);
}

IM2WIN_NOINLINE void winogradTask(const ConvJob* job, char* at, uint32_t task) {
  computeTask<kWinograd>(job, at, task);
}

IM2WIN_NOINLINE void depthwiseTask(const ConvJob* job, char* at,
                                   uint32_t task) {
  computeTask<kDepthwise>(job, at, task);
}

// Computes tasks `first` to `last` (less one) of a convolution. `at` is a
// scratch of the thread's own, aligned to 64 bytes, of as many bytes as
// src/tasks.ts says; what it holds does not matter.
//
// A task is a whole block, the first `wholeBlocks` of them. Each of the others
// has `gatherTasks` tasks that gather (or gather and transform) its rows, which
// must be done before its `repeats` times `panelTasks` begin that multiply
// them. Tasks are independent otherwise.
IM2WIN_EXPORT(im2win_conv)
void im2win_conv(const ConvJob* job, uint32_t first, uint32_t last, char* at) {
  for (uint32_t task = first; task < last; ++task) {
    if (job->algorithm == kIm2win) {
      im2winTask(job, at, task);
    } else if (job->algorithm == kWinograd) {
      winogradTask(job, at, task);
    } else {
      depthwiseTask(job, at, task);
    }
  }
}

// Writes an image [pixels, channels] as planes [channels, pixels].
IM2WIN_EXPORT(im2win_spread)
void im2win_spread(float* to, const float* image, uint32_t pixels,
                   uint32_t channels) {
  spreadOverPlanes(to, image, pixels, channels, pixels);
}
