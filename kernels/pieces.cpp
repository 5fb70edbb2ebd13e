// Data that moves piece by piece: blocks that become batches and back, and
// mirrored edges. A job is a record (pieces.def): each dimension is a list of
// pieces, in each of which indices lie evenly apart on both sides.
#include "copy.h"

struct PiecesJob {
#define FIELD(type, name) type name;
#include "pieces.def"
#undef FIELD
};

struct Dimension {
#define FIELD(type, name) type name;
#include "dimension.def"
#undef FIELD
};

struct Piece {
#define FIELD(type, name) type name;
#include "piece.def"
#undef FIELD
};

IM2WIN_INLINE void movePiece(const Piece* piece, char* to, const char* from,
                             bool outside, uint32_t run) {
  to = moved(to, piece->to);
  const bool whole = piece->toStep == run;
  if (outside || piece->outside) {
    uint32_t rows = piece->size;
    if (whole) {
      run *= rows;
      rows = 1;
    }
    for (; rows > 0; --rows, to = moved(to, piece->toStep)) fillRun(to, run, 0);
  } else {
    from = moved(from, piece->from);
    if (whole && piece->fromStep == run) {
      copyRun(to, from, piece->size * run);
    } else {
      copyRows(to, from, piece->size, piece->fromStep, piece->toStep, run);
    }
  }
}

IM2WIN_NOINLINE void moveRow(const PiecesJob* job, uint32_t row) {
  const Dimension* dimensions = (const Dimension*)(job + 1);
  const Piece* pieces = (const Piece*)(dimensions + job->dimensions);
  const Piece* outer = pieces + dimensions->pieces;
  const char* from = job->from;
  char* to = job->to;
  bool outside = false;
  for (uint32_t n = 1; n < job->dimensions; ++n) {
    const uint32_t size = dimensions[n].size;
    uint32_t index = row % size;
    row /= size;
    const Piece* piece = outer;
    for (; index >= piece->size; ++piece) index -= piece->size;
    from = moved(from, piece->from + index * piece->fromStep);
    to = moved(to, piece->to + index * piece->toStep);
    outside |= piece->outside != 0;
    outer += dimensions[n].pieces;
  }
  for (uint32_t n = 0; n < dimensions->pieces; ++n) {
    movePiece(pieces + n, to, from, outside, job->run);
  }
}

// Computes tasks `first` to `last` (less one), each a share of the rows.
IM2WIN_EXPORT(im2win_pieces)
void im2win_pieces(const PiecesJob* job, uint32_t first, uint32_t last) {
  for (uint32_t task = first; task < last; ++task) {
    const Share rows = shareOf(job->rows, 1, task, job->tasks);
    for (uint32_t row = rows.first; row < rows.last; ++row) moveRow(job, row);
  }
}
