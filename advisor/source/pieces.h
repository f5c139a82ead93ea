/* SPDX-License-Identifier: ISC */
/* pieces.h - a stderr log that comes in pieces: containers and clouds hand on each line, or each part of a message, as a record of its own.
 *
 * Pieces are collected in the reader until the next message begins. One thread. */
#ifndef ADVISOR_SOURCE_PIECES_H
#define ADVISOR_SOURCE_PIECES_H

#include "advisor/source/reader.h"

/* One piece, with or without a newline at its end. goes_on: the next piece is the rest of the same line. */
void adv_piece(AdvReader *reader, AdvSlice text, bool goes_on);

/* No more pieces of this message come. */
void adv_pieces_flush(AdvReader *reader);

/* Can what is in front of this piece be read without it? */
bool adv_piece_starts(AdvSlice text);

#endif
