/* SPDX-License-Identifier: ISC */
/* branch.h - which clients of a worker listen on which channels of a pool, by its shared connection (see listen.h).
 *
 * Channels are counted by reference: the first subscription of a worker asks the hub for the channel, the end of the last one gives
 * it back. Everything here is called on the clients' worker. */
#ifndef POOLER_LISTEN_BRANCH_H
#define POOLER_LISTEN_BRANCH_H

#include "pooler/listen/listen.h"

typedef struct ListenSubscriber ListenSubscriber;

/* What a subscriber hears; never inside one of the calls below. */
typedef struct ListenSubscriberOps {
    void (*on_live)(ListenSubscriber *who, ListenSubscription *sub);
    /* It is refused: the subscription is gone when this is called. */
    void (*on_refused)(ListenSubscriber *who, const char *name, const char *sqlstate, const char *why);
    void (*on_note)(ListenSubscriber *who, ListenSubscription *sub, const ListenNote *note); /* live ones only */
} ListenSubscriberOps;

struct ListenSubscriber {
    const ListenSubscriberOps *ops;
    ListenSubscription *table; /* by name; zero at first */
    unsigned n; /* of them */
};

struct ListenSubscription {
    ListenChannel *channel;
    ListenSubscriber *who;
    LIST_ENTRY(ListenSubscription) of_channel;
    UT_hash_handle hh; /* of the subscriber; the key is the channel's name */
    bool committed;    /* the subscriber's: see relay_listen.c */
};

static inline bool listen_is_live(const ListenSubscription *sub)
{
    return sub->channel->phase == LISTEN_LIVE;
}

ListenSubscription *listen_find(const ListenSubscriber *who, const char *name); /* NULL: none */
/* A new subscription of a name that it has none of, shorter than LISTEN_NAME_SIZE. If it is not live now, on_live or on_refused
 * follows. */
ListenSubscription *listen_subscribe(PoolLocal *local, ListenSubscriber *who, const char *name);
void listen_unsubscribe(ListenSubscription *sub);
void listen_unsubscribe_all(ListenSubscriber *who);

#endif
