/* SPDX-License-Identifier: ISC */
#include "pooler/net/send_batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pooler/net/sys.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

#define ROOM (SEND_BATCH_ENTRIES * SEND_BATCH_BYTES_MOST / 4)

typedef struct Entry {
    SendSlot *slot; /* NULL: taken out, or sent */
    int fd;
    uint32_t start, len;
} Entry;

struct SendBatch {
    struct io_uring ring;
    SendBatchLeft left;
    bool registered; /* the ring's descriptor, with the thread that uses it */
    bool broken;     /* the ring is gone */
    unsigned n;
    size_t used;
    uint64_t sends;
    Entry entries[SEND_BATCH_ENTRIES];
    uint8_t bytes[ROOM];
};

PwErr send_batch_create(SendBatchLeft left, SendBatch **ret_batch, char *why, size_t why_size)
{
    SendBatch *b = pw_xcalloc(1, sizeof(*b));
    int rc = io_uring_queue_init(SEND_BATCH_ENTRIES, &b->ring, 0);
    if (rc < 0) {
        snprintf(why, why_size, "%s", strerror(-rc));
        free(b);
        return PW_ERR_UNSUPPORTED;
    }
    b->left = left;
    *ret_batch = b;
    return PW_OK;
}

void send_batch_destroy(SendBatch *b)
{
    if (!b)
        return;
    if (!b->broken)
        io_uring_queue_exit(&b->ring);
    free(b);
}

static bool may_grow(const SendBatch *b, const Entry *e, size_t n)
{
    return e->start + e->len == b->used && e->len + n <= SEND_BATCH_BYTES_MOST &&
           n <= ROOM - b->used;
}

bool send_batch_add(SendBatch *b, SendSlot *slot, int fd, const void *bytes, size_t n)
{
    if (n > SEND_BATCH_BYTES_MOST || b->broken)
        return false;
    if (slot->entry >= 0) {
        if (!may_grow(b, &b->entries[slot->entry], n))
            return false;
    } else {
        if (b->n == SEND_BATCH_ENTRIES || n > ROOM - b->used)
            send_batch_flush(b);
        slot->entry = (int)b->n;
        Entry *e = &b->entries[b->n++];
        e->slot = slot;
        e->fd = fd;
        e->start = (uint32_t)b->used;
        e->len = 0;
    }
    memcpy(b->bytes + b->used, bytes, n);
    b->used += n;
    b->entries[slot->entry].len += (uint32_t)n;
    slot->len += (uint32_t)n;
    return true;
}

size_t send_batch_take(SendBatch *b, SendSlot *slot, const uint8_t **ret_bytes)
{
    if (slot->entry < 0)
        return 0;
    Entry *e = &b->entries[slot->entry];
    *ret_bytes = b->bytes + e->start;
    *slot = SEND_SLOT_EMPTY;
    e->slot = NULL;
    return e->len;
}

bool send_batch_is_empty(const SendBatch *b)
{
    return b->n == 0;
}

uint64_t send_batch_sends(const SendBatch *b)
{
    return b->sends;
}

/* ---- the flush ---- */

static void finish(SendBatch *b, Entry *e, ssize_t result)
{
    size_t sent = result > 0 ? (size_t)result : 0;
    SendSlot *slot = e->slot;
    e->slot = NULL;
    *slot = SEND_SLOT_EMPTY;
    b->left(slot, sent, b->bytes + e->start + sent, e->len - sent);
}

static void send_alone(SendBatch *b, Entry *e)
{
    ssize_t sent;
    do
        sent = sys_send(e->fd, b->bytes + e->start, e->len);
    while (sent < 0 && errno == EINTR);
    finish(b, e, sent);
}

static unsigned finish_done(SendBatch *b)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    io_uring_for_each_cqe(&b->ring, head, cqe)
    {
        finish(b, &b->entries[cqe->user_data], cqe->res);
        n++;
    }
    io_uring_cq_advance(&b->ring, n);
    return n;
}

/* The n that are queued. What the kernel has taken is done when the call returns, because nothing waits; what it has
 * not taken goes away with the ring, so that it cannot be sent twice. */
static void submit(SendBatch *b, unsigned n)
{
    if (!b->registered) {
        (void)io_uring_register_ring_fd(
            &b->ring); /* saves a look-up in each call; before Linux 5.18 there is none */
        b->registered = true;
    }
    for (unsigned done = 0; done < n;) {
        int rc = io_uring_submit_and_wait(&b->ring, n - done);
        done += finish_done(b);
        if (rc < 0 && rc != -EINTR) {
            io_uring_queue_exit(&b->ring);
            b->broken = true;
            pw_log(PW_LOG_ERROR,
                   "io_uring failed: %s; sends are no longer batched (hint: io_engine = epoll)",
                   strerror(-rc));
            return;
        }
    }
    b->sends += n;
}

static unsigned queue_all(SendBatch *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->n; i++) {
        const Entry *e = &b->entries[i];
        if (!e->slot)
            continue;
        struct io_uring_sqe *sqe =
            io_uring_get_sqe(&b->ring); /* never NULL: as many as entries, all free */
        io_uring_prep_send(sqe, e->fd, b->bytes + e->start, e->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->user_data = i;
        n++;
    }
    return n;
}

void send_batch_flush(SendBatch *b)
{
    unsigned queued = b->n > 1 ? queue_all(b) : 0;
    if (queued > 0)
        submit(b, queued);
    if (queued < b->n || b->broken)
        for (unsigned i = 0; i < b->n; i++)
            if (b->entries[i].slot)
                send_alone(b, &b->entries[i]);
    b->n = 0;
    b->used = 0;
}

#else

struct SendBatch {
    char unused;
};

PwErr send_batch_create(SendBatchLeft left, SendBatch **ret_batch, char *why, size_t why_size)
{
    (void)left;
    (void)ret_batch;
    snprintf(why, why_size, "built without liburing");
    return PW_ERR_UNSUPPORTED;
}

void send_batch_destroy(SendBatch *b)
{
    (void)b;
}

bool send_batch_add(SendBatch *b, SendSlot *slot, int fd, const void *bytes, size_t n)
{
    (void)b;
    (void)slot;
    (void)fd;
    (void)bytes;
    (void)n;
    return false;
}

size_t send_batch_take(SendBatch *b, SendSlot *slot, const uint8_t **ret_bytes)
{
    (void)b;
    (void)slot;
    (void)ret_bytes;
    return 0;
}

bool send_batch_is_empty(const SendBatch *b)
{
    (void)b;
    return true;
}

uint64_t send_batch_sends(const SendBatch *b)
{
    (void)b;
    return 0;
}

void send_batch_flush(SendBatch *b)
{
    (void)b;
}

#endif
