/* SPDX-License-Identifier: ISC */
/* A node is linked in two steps: the producer exchanges `tail` for itself, then writes `next` of the node that
 * was the tail. Between the two the list is cut in the middle; the owner then sees "nothing yet" although a
 * node is coming. That is harmless because the producer looks at `awake` only after it has linked:
 *
 *   producer: link node; read awake; signal if it is 0
 *   owner:    write awake = 0; look for a linked node; sleep if there is none
 *
 * Both orders are sequentially consistent, so either the owner sees the node or the producer sees the 0.
 * `head` and `tail` are never NULL. The stub is in the list exactly when all other nodes were taken out or
 * when it was pushed to free the last one. */
#include "pooler/net/mailbox.h"

#include <stddef.h>
#include <stdint.h>

#ifndef PW_SCHEDULER_SHIM
#include <unistd.h>
#endif

void mailbox_init(Mailbox *mb, int event_fd)
{
    pw_atomic_init(&mb->stub.next, NULL);
    mb->stub.run = NULL;
    pw_atomic_init(&mb->tail, &mb->stub);
    mb->head = &mb->stub;
    pw_atomic_init(&mb->awake, 0);
    mb->event_fd = event_fd;
}

static void push(Mailbox *mb, MailNode *node)
{
    pw_atomic_store_relaxed(&node->next, NULL); /* the exchange publishes it */
    MailNode *before = pw_atomic_exchange(&mb->tail, node);
    pw_atomic_store(&before->next, node);
}

void mailbox_signal(Mailbox *mb)
{
    if (mb->event_fd < 0)
        return;
#ifdef PW_SCHEDULER_SHIM
    shim_signal(mb->event_fd);
#else
    /* Should fail only when the counter is full, and then the owner's poll returns anyway; worker_read_mail makes up for anything else. */
    uint64_t one = 1;
    ssize_t n = write(mb->event_fd, &one, sizeof(one));
    (void)n;
#endif
}

void mailbox_post(Mailbox *mb, MailNode *node)
{
    push(mb, node);
    /* The load keeps a busy mailbox free of a second locked instruction. */
    if (pw_atomic_load(&mb->awake) == 0 && pw_atomic_exchange(&mb->awake, 1) == 0)
        mailbox_signal(mb);
}

/* The oldest node, unlinked, or NULL: empty, or the next one is not linked yet. */
static MailNode *pop(Mailbox *mb)
{
    MailNode *head = mb->head;
    MailNode *next = pw_atomic_load(&head->next);
    if (head == &mb->stub) {
        if (!next)
            return NULL;
        mb->head = head = next;
        next = pw_atomic_load(&head->next);
    }
    if (!next) {
        /* `head` is the last one, unless a producer is between its two steps. It may leave only when
         * something follows it: the stub. */
        if (pw_atomic_load(&mb->tail) != head)
            return NULL;
        push(mb, &mb->stub);
        next = pw_atomic_load(&head->next);
        if (!next)
            return NULL; /* somebody came in front of the stub and has not linked yet */
    }
    mb->head = next;
    return head;
}

/* True when pop() would return a node. */
static bool has_linked(Mailbox *mb)
{
    if (mb->head != &mb->stub)
        return pw_atomic_load(&mb->tail) == mb->head || pw_atomic_load(&mb->head->next) != NULL;
    return pw_atomic_load(&mb->stub.next) != NULL;
}

bool mailbox_drain(Mailbox *mb, unsigned most)
{
    for (unsigned n = 0; n < most; n++) {
        MailNode *node = pop(mb);
        if (!node) {
            pw_atomic_store(&mb->awake, 0);
            if (!has_linked(mb))
                return false;
            pw_atomic_store(&mb->awake, 1);
            continue; /* counts towards the batch, so that a flood cannot keep us here */
        }
        node->run(node);
    }
    return true; /* awake stays 1: the caller comes back without being signalled */
}
