/* SPDX-License-Identifier: ISC */
/* decoder.h - the bytes of a file, plain or compressed (gzip, zstd, xz), told apart by its first bytes. One thread at a time. */
#ifndef ADVISOR_SOURCE_DECODER_H
#define ADVISOR_SOURCE_DECODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "poolwise/err.h"

typedef struct AdvDecoder AdvDecoder;

/* "-" is standard input. `stop` (may be NULL; must live as long): once it is true the file ends, also a pipe that nothing comes from.
 * PW_ERR_IO with *ret_why (to be freed). */
PW_MUSTCHECK PwErr adv_decoder_open(const char *path, const atomic_bool *stop, AdvDecoder **ret_decoder, char **ret_why);
void adv_decoder_close(AdvDecoder *decoder);

/* The next bytes, at most n (> 0); 0 at the end; -1 when it cannot be read or is broken: see adv_decoder_why. */
ssize_t adv_decoder_read(AdvDecoder *decoder, char *out, size_t n);
const char *adv_decoder_why(const AdvDecoder *decoder); /* NULL: nothing was wrong */

/* Is it this file? A name may have come to another one in the meantime. */
bool adv_decoder_is(const AdvDecoder *decoder, uint64_t device, uint64_t inode);

uint64_t adv_decoder_taken(const AdvDecoder *decoder); /* bytes of the file read so far; any thread */
uint64_t adv_decoder_size(const AdvDecoder *decoder);  /* of the file; 0: not known */

#endif
