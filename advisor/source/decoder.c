/* SPDX-License-Identifier: ISC */
/* Files are read, not mapped: a log that is cut while we look at it (copytruncate) would end the process with SIGBUS, and a copy of a megabyte that stays in
 * the cache costs less than a page fault for each of its pages. */
#include "advisor/source/decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "poolwise/mem.h"

#define RAW (256 * 1024)
#define TICK_MS 100 /* how soon a pipe is given up when it is no longer wanted */

typedef enum Step { STEP_MORE, STEP_END, STEP_BROKEN } Step;

/* A kind of compression. step: from d->in to *out, as much as goes; `last`: no more input comes. */
typedef struct Kind {
    const char *name;
    const char *magic;
    size_t magic_len;
    bool (*start)(AdvDecoder *d);
    Step (*step)(AdvDecoder *d, char **out, char *out_end, bool last);
    void (*stop)(AdvDecoder *d);
} Kind;

struct AdvDecoder {
    int fd;
    bool eof, ended;
    bool waits; /* no regular file: reading may take for ever */
    const atomic_bool *stop;
    uint64_t device, inode;
    const Kind *kind; /* NULL: plain */
    atomic_uint_fast64_t taken; /* relaxed: for whoever shows the progress */
    uint64_t size;
    char *raw;
    size_t at, len; /* unread bytes of raw */
    char why[200];
    z_stream gzip;
    bool between; /* gzip: the last member is over, another may follow */
    ZSTD_DStream *zstd;
    size_t zstd_hint; /* 0: at the end of a frame */
    lzma_stream xz;
};

/* ---- gzip ---- */

static bool gzip_start(AdvDecoder *d)
{
    return inflateInit2(&d->gzip, 15 + 32) == Z_OK;
}

static Step gzip_step(AdvDecoder *d, char **out, char *out_end, bool last)
{
    if (d->between && d->at < d->len && (unsigned char)d->raw[d->at] != 0x1f) { /* as gzip does: no further member */
        snprintf(d->why, sizeof(d->why), "bytes behind the gzip data are left out");
        return STEP_END;
    }
    if (d->between && d->at < d->len) { /* rotation may append one archive to another */
        inflateReset(&d->gzip);
        d->between = false;
    }
    if (d->between)
        return last ? STEP_END : STEP_MORE;
    d->gzip.next_in = (Bytef *)d->raw + d->at;
    d->gzip.avail_in = (uInt)(d->len - d->at);
    d->gzip.next_out = (Bytef *)*out;
    d->gzip.avail_out = (uInt)(out_end - *out);
    int err = inflate(&d->gzip, Z_NO_FLUSH);
    d->at = d->len - d->gzip.avail_in;
    *out = (char *)d->gzip.next_out;
    d->between = err == Z_STREAM_END;
    if (err == Z_BUF_ERROR && !last)
        return STEP_MORE;
    return err == Z_OK || err == Z_STREAM_END ? STEP_MORE : STEP_BROKEN;
}

static void gzip_stop(AdvDecoder *d)
{
    inflateEnd(&d->gzip);
}

/* ---- zstd ---- */

static bool zstd_start(AdvDecoder *d)
{
    d->zstd = ZSTD_createDStream();
    if (d->zstd) /* 128 MB, as much as zstd itself takes unless it is told otherwise */
        ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, 27);
    return d->zstd != NULL;
}

static Step zstd_step(AdvDecoder *d, char **out, char *out_end, bool last)
{
    ZSTD_inBuffer in = {d->raw, d->len, d->at};
    ZSTD_outBuffer to = {*out, (size_t)(out_end - *out), 0};
    if (in.pos == in.size && last && d->zstd_hint == 0)
        return STEP_END;
    size_t hint = ZSTD_decompressStream(d->zstd, &to, &in);
    bool nothing = in.pos == d->at && to.pos == 0;
    d->at = in.pos;
    *out += to.pos;
    if (ZSTD_isError(hint)) {
        if (ZSTD_getErrorCode(hint) == ZSTD_error_frameParameter_windowTooLarge)
            snprintf(d->why, sizeof(d->why), "unpacking it takes more than 128 MB of memory (zstd --long); unpack it with zstd -d --long=31");
        return STEP_BROKEN;
    }
    d->zstd_hint = hint;
    return nothing && last ? STEP_BROKEN : STEP_MORE;
}

static void zstd_stop(AdvDecoder *d)
{
    ZSTD_freeDStream(d->zstd);
}

/* ---- xz ---- */

static bool xz_start(AdvDecoder *d)
{
    return lzma_stream_decoder(&d->xz, UINT64_C(256) << 20, LZMA_CONCATENATED) == LZMA_OK;
}

static Step xz_step(AdvDecoder *d, char **out, char *out_end, bool last)
{
    d->xz.next_in = (uint8_t *)d->raw + d->at;
    d->xz.avail_in = d->len - d->at;
    d->xz.next_out = (uint8_t *)*out;
    d->xz.avail_out = (size_t)(out_end - *out);
    lzma_ret err = lzma_code(&d->xz, last ? LZMA_FINISH : LZMA_RUN);
    d->at = d->len - d->xz.avail_in;
    *out = (char *)d->xz.next_out;
    if (err == LZMA_STREAM_END)
        return STEP_END;
    if (err == LZMA_MEMLIMIT_ERROR)
        snprintf(d->why, sizeof(d->why), "unpacking it takes more than 256 MB of memory; unpack it with xz -d");
    return err == LZMA_OK || (err == LZMA_BUF_ERROR && !last) ? STEP_MORE : STEP_BROKEN;
}

static void xz_stop(AdvDecoder *d)
{
    lzma_end(&d->xz);
}

static const Kind kinds[] = {
    {"gzip", "\x1f\x8b", 2, gzip_start, gzip_step, gzip_stop},
    {"zstd", "\x28\xb5\x2f\xfd", 4, zstd_start, zstd_step, zstd_stop},
    {"zstd", "\x50\x2a\x4d\x18", 4, zstd_start, zstd_step, zstd_stop}, /* pzstd begins with a frame to skip */
    {"xz", "\xfd" "7zXZ\0", 6, xz_start, xz_step, xz_stop},
};

/* ---- the file ---- */

static void took(AdvDecoder *d, ssize_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(&d->taken, (uint64_t)n, memory_order_relaxed);
}

static bool is_stopped(const AdvDecoder *d)
{
    return d->stop && atomic_load(d->stop);
}

/* As read(2); 0 is the end, also when no more is wanted. */
static ssize_t get(AdvDecoder *d, char *out, size_t n)
{
    ssize_t got = 0;
    for (bool ready = !d->waits; !ready && !d->eof && !is_stopped(d);) {
        struct pollfd p = {.fd = d->fd, .events = POLLIN};
        ready = poll(&p, 1, TICK_MS) > 0;
    }
    d->eof = d->eof || is_stopped(d);
    while (!d->eof && (got = read(d->fd, out, n)) < 0 && errno == EINTR)
        d->eof = is_stopped(d);
    if (d->eof)
        return 0;
    if (got < 0)
        snprintf(d->why, sizeof(d->why), "%s", strerror(errno));
    d->eof = got == 0;
    took(d, got);
    return got;
}

static bool fill(AdvDecoder *d)
{
    if (d->at < d->len || d->eof)
        return true;
    ssize_t n = get(d, d->raw, RAW);
    d->at = 0;
    d->len = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

/* Enough for every magic, also from a pipe that gives it byte by byte. */
static void look(AdvDecoder *d)
{
    while (d->len < 8 && !d->eof) {
        ssize_t n = get(d, d->raw + d->len, RAW - d->len);
        if (n < 0)
            break; /* told again by whoever reads on */
        d->len += (size_t)n;
    }
    for (size_t i = 0; i < PW_ARRAY_LEN(kinds); i++)
        if (d->len >= kinds[i].magic_len && memcmp(d->raw, kinds[i].magic, kinds[i].magic_len) == 0)
            d->kind = &kinds[i];
}

static int open_file(const char *path, const atomic_bool *stop)
{
    int fd;
    do /* of a pipe that nobody writes to it takes until somebody does */
        fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR && !(stop && atomic_load(stop)));
    return fd;
}

PwErr adv_decoder_open(const char *path, const atomic_bool *stop, AdvDecoder **ret_decoder, char **ret_why)
{
    struct stat st;
    int fd = open_file(path, stop);
    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_why = pw_xasprintf("cannot open %s: %s", path, strerror(errno));
        if (fd > 0)
            close(fd);
        return PW_ERR_IO;
    }
    AdvDecoder *d = pw_xcalloc(1, sizeof(*d));
    d->fd = fd;
    d->stop = stop;
    d->waits = !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    d->device = (uint64_t)st.st_dev;
    d->inode = (uint64_t)st.st_ino;
    d->raw = pw_xmalloc(RAW);
    d->size = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    look(d);
    if (d->kind && !d->kind->start(d)) {
        *ret_why = pw_xasprintf("%s: not enough memory for %s", path, d->kind->name);
        d->kind = NULL;
        adv_decoder_close(d);
        return PW_ERR_NOMEM;
    }
    *ret_decoder = d;
    return PW_OK;
}

void adv_decoder_close(AdvDecoder *d)
{
    if (!d)
        return;
    if (d->kind)
        d->kind->stop(d);
    if (d->fd != STDIN_FILENO)
        close(d->fd);
    free(d->raw);
    free(d);
}

/* What is plain goes straight to the caller's memory. */
static ssize_t read_plain(AdvDecoder *d, char *out, size_t n)
{
    if (d->at < d->len) {
        size_t have = d->len - d->at < n ? d->len - d->at : n;
        memcpy(out, d->raw + d->at, have);
        d->at += have;
        return (ssize_t)have;
    }
    return get(d, out, n);
}

ssize_t adv_decoder_read(AdvDecoder *d, char *out, size_t n)
{
    if (!d->kind)
        return read_plain(d, out, n);
    char *to = out;
    while (to == out && !d->ended) {
        if (!fill(d))
            return -1;
        Step step = d->kind->step(d, &to, out + n, d->eof && d->at == d->len);
        d->ended = step != STEP_MORE;
        if (step != STEP_BROKEN || is_stopped(d))
            continue;
        if (!d->why[0])
            snprintf(d->why, sizeof(d->why), d->eof && d->at == d->len ? "the %s data end too early" : "the %s data are broken", d->kind->name);
        if (to == out)
            return -1;
    }
    return to - out;
}

const char *adv_decoder_why(const AdvDecoder *d)
{
    return d->why[0] ? d->why : NULL;
}

bool adv_decoder_is(const AdvDecoder *d, uint64_t device, uint64_t inode)
{
    return d->device == device && d->inode == inode;
}

uint64_t adv_decoder_taken(const AdvDecoder *d)
{
    return atomic_load_explicit(&d->taken, memory_order_relaxed);
}

uint64_t adv_decoder_size(const AdvDecoder *d)
{
    return d->size;
}
