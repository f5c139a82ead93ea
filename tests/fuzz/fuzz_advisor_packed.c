/* SPDX-License-Identifier: ISC */
/* Compressed files: whatever the bytes, reading comes to an end, gives no more than it should at a time, and the last word is an error or the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "advisor/source/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (64 * 1024 * 1024) /* a small file can hold far more than that */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], *why, out[4096];
    AdvDecoder *decoder;
    size_t total = 0;
    int fd = memfd_create("packed", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (adv_decoder_open(path, NULL, &decoder, &why)) {
        free(why);
        close(fd);
        return 0;
    }
    for (ssize_t n; total < OUT_MAX && (n = adv_decoder_read(decoder, out, sizeof(out))) != 0; total += (size_t)n) {
        if (n > (ssize_t)sizeof(out))
            abort();
        if (n < 0) {
            if (!adv_decoder_why(decoder))
                abort();
            break;
        }
    }
    if (adv_decoder_taken(decoder) > size)
        abort();
    adv_decoder_close(decoder);
    close(fd);
    return 0;
}
