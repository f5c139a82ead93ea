/* SPDX-License-Identifier: ISC */
/* input.c - cuts what a decoder gives into blocks.
 *
 *   |<- what the last block left ->|<- fresh bytes ->|
 *   |  whole records                     | the last, perhaps not whole, is left for the next block
 *                                        ^ the last line that begins a record
 *
 * Readers ask under one lock, in which the file is read and unpacked: that is a fraction of the time that a block takes to be parsed, except for xz. */
#include "advisor/source/input.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

#define BLOCK ((size_t)1024 * 1024)
#define RECORD_MAX ((size_t)64 * 1024 * 1024) /* a record that does not end must not eat the memory */
#define WHOLE_MAX ((size_t)256 * 1024 * 1024)
#define HEAD ((size_t)64 * 1024)

struct AdvInput {
    pthread_mutex_t lock; /* guards everything below */
    AdvDecoder *decoder;  /* NULL: `left` is all there is */
    char *left;           /* what the last block left, or the head */
    size_t n_left, cap_left;
    bool end;
    uint64_t blocks;
};

static AdvInput *create(void)
{
    AdvInput *in = pw_xcalloc(1, sizeof(*in));
    pthread_mutex_init(&in->lock, NULL);
    return in;
}

PwErr adv_input_open(const char *path, const atomic_bool *stop, AdvInput **ret_input, char **ret_why)
{
    AdvDecoder *decoder;
    PwErr err = adv_decoder_open(path, stop, &decoder, ret_why);
    if (err)
        return err;
    *ret_input = create();
    (*ret_input)->decoder = decoder;
    return PW_OK;
}

static void leave(AdvInput *in, const char *data, size_t n)
{
    if (n > in->cap_left) {
        in->cap_left = n + n / 2;
        in->left = pw_xrealloc(in->left, in->cap_left);
    }
    if (n > 0)
        memcpy(in->left, data, n);
    in->n_left = n;
}

AdvInput *adv_input_open_text(const char *text, size_t len)
{
    AdvInput *in = create();
    leave(in, text, len);
    in->end = true;
    return in;
}

void adv_input_close(AdvInput *in)
{
    if (!in)
        return;
    adv_decoder_close(in->decoder);
    pthread_mutex_destroy(&in->lock);
    free(in->left);
    free(in);
}

/* False at the end. */
static bool read_more(AdvInput *in, char *out, size_t n, size_t *ret_got)
{
    ssize_t got = in->decoder && !in->end ? adv_decoder_read(in->decoder, out, n) : 0;
    in->end = in->end || got <= 0;
    *ret_got = got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* Returns whether nothing is left of what could be more. */
static bool skip_leading(AdvInput *in)
{
    static const char bom[] = "\xef\xbb\xbf";
    size_t n = 0;
    while (n < in->n_left && in->left[n] == '\0')
        n++;
    if (in->n_left - n >= strlen(bom) && memcmp(in->left + n, bom, strlen(bom)) == 0)
        n += strlen(bom);
    memmove(in->left, in->left + n, in->n_left - n);
    in->n_left -= n;
    return in->n_left == 0 && !in->end;
}

AdvSlice adv_input_head(AdvInput *in)
{
    pthread_mutex_lock(&in->lock);
    if (in->cap_left < HEAD) {
        in->cap_left = HEAD;
        in->left = pw_xrealloc(in->left, HEAD);
    }
    do
        for (size_t got; in->n_left < HEAD && read_more(in, in->left + in->n_left, HEAD - in->n_left, &got);)
            in->n_left += got;
    while (skip_leading(in));
    AdvSlice head = {in->left, in->n_left};
    pthread_mutex_unlock(&in->lock);
    return head;
}

bool adv_input_is(const AdvInput *in, uint64_t device, uint64_t inode)
{
    return in->decoder && adv_decoder_is(in->decoder, device, inode);
}

static void reserve(AdvBlock *b, size_t cap)
{
    if (b->cap >= cap)
        return;
    b->data = pw_xrealloc(b->data, cap);
    b->cap = cap;
}

/* Where the last record begins; 0 when that is the first one, or none begins. */
static size_t last_start(const AdvForm *form, const char *data, size_t len)
{
    if (form->whole)
        return 0;
    if (form->anywhere)
        return len;
    for (size_t end = len; end > 0;) {
        const char *newline = memrchr(data, '\n', end);
        if (!newline)
            return 0;
        size_t at = (size_t)(newline - data) + 1;
        const char *stop = memchr(data + at, '\n', len - at);
        if (!form->starts || (at < len && form->starts(data + at, (size_t)((stop ? stop : data + len) - (data + at)))))
            return at;
        end = at - 1;
    }
    return 0;
}

static bool next(AdvInput *in, const AdvForm *form, AdvBlock *b)
{
    size_t want = BLOCK, got, max = form->whole ? WHOLE_MAX : RECORD_MAX;
    reserve(b, in->n_left > BLOCK ? in->n_left : BLOCK);
    if (in->n_left)
        memcpy(b->data, in->left, in->n_left);
    b->len = in->n_left;
    in->n_left = 0;
    for (;;) {
        while (b->len < want && read_more(in, b->data + b->len, want - b->len, &got))
            b->len += got;
        if (in->end)
            break;
        size_t at = last_start(form, b->data, b->len);
        if (at == 0 && want < max) {
            want *= 2;
            reserve(b, want);
            continue;
        }
        if (at > 0) {
            leave(in, b->data + at, b->len - at);
            b->len = at;
        }
        break;
    }
    b->number = in->blocks++;
    return b->len > 0;
}

bool adv_input_next(AdvInput *in, const AdvForm *form, AdvBlock *b)
{
    pthread_mutex_lock(&in->lock);
    bool any = (!in->end || in->n_left > 0) && next(in, form, b);
    pthread_mutex_unlock(&in->lock);
    return any;
}

const char *adv_input_why(AdvInput *in)
{
    return in->decoder ? adv_decoder_why(in->decoder) : NULL;
}

void adv_input_progress(const AdvInput *in, uint64_t *ret_taken, uint64_t *ret_size)
{
    *ret_taken = in->decoder ? adv_decoder_taken(in->decoder) : 0;
    *ret_size = in->decoder ? adv_decoder_size(in->decoder) : 0;
}
