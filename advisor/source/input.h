/* SPDX-License-Identifier: ISC */
/* input.h - a file in blocks of whole records, for several readers at once. */
#ifndef ADVISOR_SOURCE_INPUT_H
#define ADVISOR_SOURCE_INPUT_H

#include <stdbool.h>

#include "advisor/source/decoder.h"
#include "advisor/source/reader.h"

typedef struct AdvInput AdvInput;

/* Once `stop` is true the file ends where it was read up to; see adv_decoder_open. PW_ERR_IO with *ret_why (to be freed). */
PW_MUSTCHECK PwErr adv_input_open(const char *path, const atomic_bool *stop, AdvInput **ret_input, char **ret_why);
/* Text in memory, which must live as long. */
AdvInput *adv_input_open_text(const char *text, size_t len);
void adv_input_close(AdvInput *input);

/* The beginning of the file, as much as is needed to tell what it is: without a byte order mark, and without the NUL bytes that a lost power supply leaves. */
AdvSlice adv_input_head(AdvInput *input);

/* Is it this file? */
bool adv_input_is(const AdvInput *input, uint64_t device, uint64_t inode);

typedef struct AdvBlock {
    char *data; /* of the reader that asks, reused; NULL in the beginning, to be freed in the end */
    size_t len, cap;
    uint64_t number; /* from 0 */
} AdvBlock;

/* The next block. False at the end or after an error. Any thread. */
bool adv_input_next(AdvInput *input, const AdvForm *form, AdvBlock *block);

/* Why the end is not the end of the file; NULL: it is. */
const char *adv_input_why(AdvInput *input);
void adv_input_progress(const AdvInput *input, uint64_t *ret_taken, uint64_t *ret_size); /* any thread, never waits */

#endif
