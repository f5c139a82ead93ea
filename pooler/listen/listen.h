/* SPDX-License-Identifier: ISC */
/* listen.h - shared listening: one server connection of a pool listens for all of its clients (listen_mode = shared).
 *
 * Two halves, joined by mailboxes. A *branch* (branch.h) is one worker's part of a pool: which of its clients want which channel. The
 * *hub* (hub.h) lives on the pool's listening worker and has the connection. What travels is the ListenChannel, one worker's
 * interest in one channel: it goes to the hub with a request and comes back with the answer, so no request is ever lost, doubled or
 * overtaken, and nothing is looked up by name on the way back.
 *
 *     branch, its worker                              hub, the listening worker
 *                        ---- ListenChannel: ask --->  joins its HubChannel; LISTEN unless the server listens already
 *     ASKING -> LIVE     <--- ListenChannel: yes ----  the server has confirmed it
 *     ASKING -> (gone)   <--- ListenChannel: no -----  it cannot be had; it has not joined
 *                        ---- ListenChannel: leave ->  leaves; UNLISTEN when it was the last
 *     LEAVING -> (gone, or ASKING again) <-- left ---
 *                        <--- ListenNote -------------  a notification, or "some may be lost" after a reconnect
 *
 * Why it holds:
 * - A ListenChannel is with the branch or with the hub, never both: `phase` ASKING and LEAVING mean "with the hub". A client that
 *   goes, or a LISTEN that is rolled back, only takes a subscription off it; what then has none is asked to leave when it is back.
 * - Mail between two workers keeps its order. A ListenNote points to the ListenChannel, and was posted before the answer "left", so
 *   the ListenChannel is there when it arrives.
 * - Each ListenChannel, and the hub while it has a connection, holds a reference to the PoolEntry: no pool is retired under them.
 * - The connection is on no list of the pool (server/server_beside.c). PAUSE closes it and RESUME brings it back; RECONNECT and a
 *   changed database line make it anew; each time whoever was listening is told that notifications may be lost. */
#ifndef POOLER_LISTEN_LISTEN_H
#define POOLER_LISTEN_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "pooler/net/mailbox.h"
#include "pooler/pool/registry.h"

/* Longest name of a channel, with its NUL: PostgreSQL's NAMEDATALEN. */
#define LISTEN_NAME_SIZE 64
#define LISTEN_WHY_SIZE  200

typedef enum ListenPhase {
    LISTEN_ASKING, /* with the hub */
    LISTEN_LIVE,   /* the server listens */
    LISTEN_LEAVING, /* with the hub */
    LISTEN_PHASE_COUNT
} ListenPhase;

typedef struct ListenSubscription ListenSubscription;

typedef struct ListenChannel {
    MailNode node; /* first */
    PoolLocal *local; /* the branch's; never changes */
    char name[LISTEN_NAME_SIZE]; /* as the server spells it; never changes */

    /* the branch's worker */
    ListenPhase phase;
    LIST_HEAD(, ListenSubscription) subscriptions;
    ListenSubscription *next_told; /* while all are told something: what they do about it may take any of them off */
    UT_hash_handle hh;

    /* travel with it: whoever has it writes */
    bool leave; /* to the hub: what it is to do */
    bool refused; /* from the hub */
    char sqlstate[6], why[LISTEN_WHY_SIZE]; /* if it is refused */
    char encoding[24]; /* client_encoding of the connection: in it are the notifications */

    /* the hub's worker, while it is a member */
    struct HubChannel *hub_channel;
    LIST_ENTRY(ListenChannel) member;
    bool told; /* it was answered */
} ListenChannel;

typedef enum ListenNoteKind {
    LISTEN_NOTE_NOTIFICATION,
    LISTEN_NOTE_GAP, /* the connection was lost; it listens again */
} ListenNoteKind;

/* One for each worker that it concerns. */
typedef struct ListenNote {
    MailNode node; /* first */
    ListenChannel *to;
    ListenNoteKind kind;
    uint32_t pid;      /* as the server says it */
    bool ascii;        /* reads the same in every encoding */
    uint32_t len;
    uint8_t message[]; /* NotificationResponse, whole */
} ListenNote;

/* hub.c: what a ListenChannel does when it arrives there; branch.c: when it is back, and what a ListenNote does. */
void listen_hub_arrive(MailNode *node);
void listen_branch_arrive(MailNode *node);
void listen_branch_note(MailNode *node);

static inline PoolLocal *listen_hub_local(const PoolEntry *entry)
{
    return &entry->locals[entry->listen_worker];
}

#endif
