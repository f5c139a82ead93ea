/* SPDX-License-Identifier: ISC */
/* mailbox.h - the only way between workers: an unbounded intrusive multi-producer queue.
 *
 * The node is inside the object that travels, so a post neither allocates nor fails. The owner drains
 * in bounded batches; posts made before a drain are seen by it or by the wake-up that follows.
 *
 *   producers --push--> [stub <- node <- node <- node] --drain--> owner
 *
 * A node is in at most one mailbox at a time; after its `run` was called it may be posted again.
 * Vyukov's non-intrusive-stub MPSC queue; one eventfd write only when the mailbox was asleep. */
#ifndef POOLER_NET_MAILBOX_H
#define POOLER_NET_MAILBOX_H

#include <stdbool.h>

#include "pooler/net/atomic.h"

typedef struct MailNode MailNode;
struct MailNode {
    PW_ATOMIC(MailNode *) next;      /* written by the producer that follows, acquire/release */
    void (*run)(MailNode *node);     /* called on the owner's worker; may repost or free the node */
};

typedef struct Mailbox {
    PW_ATOMIC(MailNode *) tail; /* producers exchange it (acq_rel) */
    MailNode *head;             /* owner only */
    MailNode stub;
    PW_ATOMIC(int) awake;       /* 1: a wake-up is under way, producers need not signal (seq_cst) */
    int event_fd;               /* -1 in tests: then the owner polls */
} Mailbox;

void mailbox_init(Mailbox *mb, int event_fd);

/* Any thread. Signals the eventfd if the owner may be asleep. */
void mailbox_post(Mailbox *mb, MailNode *node);

/* Any thread. Makes the eventfd readable; for who does not drain all of it now. */
void mailbox_signal(Mailbox *mb);

/* Owner only. Runs at most `most` nodes; true when some may be left (the caller arms itself again). */
bool mailbox_drain(Mailbox *mb, unsigned most);

#endif
