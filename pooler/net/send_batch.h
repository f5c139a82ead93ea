/* SPDX-License-Identifier: ISC */
/* send_batch.h - what one loop turn sends to many sockets, in one system call (io_uring).
 *
 * A send that can be put off to the end of the turn is copied here; send_batch_flush hands all of them to the kernel
 * at once. Each is tried once without waiting (MSG_DONTWAIT), so the call returns when all are done: nothing is ever
 * under way between two turns, no buffer is lent to the kernel for longer than the call, and a socket may be closed,
 * handed over or passed to another process as soon as its own entry has been taken out.
 *
 * States of an entry:  free -> STAGED -> (send_batch_flush)  -> free     what was not sent goes to the owner's `left`
 *                                     -> (send_batch_take)   -> free     the bytes go back to the owner
 *
 * A connection has at most one entry, so its bytes cannot overtake each other. The owner sees to that: it asks
 * send_batch_add with its entry, which grows or refuses, and takes the entry out before it sends in another way.
 *
 * One batch belongs to one worker and is used on its thread only; create and destroy on any. */
#ifndef POOLER_NET_SEND_BATCH_H
#define POOLER_NET_SEND_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

/* Nearly all of the gain is there with 32, and the first of them does not wait long for the last. */
#define SEND_BATCH_ENTRIES 32
/* Larger sends gain nothing: copying them costs what a call costs. */
#define SEND_BATCH_BYTES_MOST 4096

typedef struct SendBatch SendBatch;

/* The connection's end of its entry. */
typedef struct SendSlot {
    int entry;    /* -1: nothing staged */
    uint32_t len; /* of what is staged */
} SendSlot;
#define SEND_SLOT_EMPTY ((SendSlot){.entry = -1})

/* What became of a staged send: `sent` bytes are on their way, bytes[0..n) are not (the socket is full, or broken: the
 * next send tells). Called from send_batch_flush and from send_batch_add when the batch was full, so it may touch its
 * own connection's buffer and events only, and must not call the batch. `bytes` is valid within the call. */
typedef void (*SendBatchLeft)(SendSlot *slot, size_t sent, const uint8_t *bytes, size_t n);

/* PW_ERR_UNSUPPORTED: built without liburing, or this kernel or container refuses io_uring; `why` says it. */
PW_MUSTCHECK PwErr send_batch_create(SendBatchLeft left, SendBatch **ret_batch, char *why,
                                     size_t why_size);
void send_batch_destroy(SendBatch *b); /* NULL is fine; entries are dropped */

/* Copies n bytes for `fd`, after a flush when the batch is full. False, and nothing is changed: too long, other bytes
 * came in between so that the entry cannot grow, or io_uring has failed. Then the caller takes its entry and sends in
 * the usual way. */
bool send_batch_add(SendBatch *b, SendSlot *slot, int fd, const void *bytes, size_t n);

/* Takes the entry out. The bytes are valid until the next add. */
size_t send_batch_take(SendBatch *b, SendSlot *slot, const uint8_t **ret_bytes);

bool send_batch_is_empty(const SendBatch *b);
uint64_t send_batch_sends(
    const SendBatch *b); /* that went out together with others, for SHOW WORKERS */

/* Sends everything. At the end of a loop turn at the latest. Should io_uring fail, each entry is sent on its own, and
 * the batch takes nothing from then on. */
void send_batch_flush(SendBatch *b);

#endif
