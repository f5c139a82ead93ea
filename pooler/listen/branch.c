/* SPDX-License-Identifier: ISC */
#include "pooler/listen/branch.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/net/worker.h"
#include "poolwise/mem.h"

typedef struct ListenBranch {
    ListenChannel *table;
} ListenBranch;

/* ---- channels ---- */

static void post(ListenChannel *c, ListenPhase phase)
{
    c->phase = phase;
    c->leave = phase == LISTEN_LEAVING;
    c->node.run = listen_hub_arrive;
    worker_post(c->local->entry->listen_worker, &c->node);
}

static ListenChannel *channel_get(PoolLocal *local, const char *name)
{
    if (!local->listen_branch)
        local->listen_branch = pw_xcalloc(1, sizeof(*local->listen_branch));
    ListenChannel *c;
    HASH_FIND_STR(local->listen_branch->table, name, c);
    if (c)
        return c;
    c = pw_xcalloc(1, sizeof(*c));
    c->local = local;
    memcpy(c->name, name, strnlen(name, sizeof(c->name) - 1));
    LIST_INIT(&c->subscriptions);
    HASH_ADD_STR(local->listen_branch->table, name, c);
    registry_ref(local->entry);
    post(c, LISTEN_ASKING);
    return c;
}

/* It is here, and the hub does not know it. */
static void channel_free(ListenChannel *c)
{
    PoolLocal *local = c->local;
    PoolEntry *entry = local->entry;
    HASH_DEL(local->listen_branch->table, c);
    free(c);
    if (!local->listen_branch->table) {
        free(local->listen_branch);
        local->listen_branch = NULL;
    }
    registry_unref(entry);
}

/* ---- subscriptions ---- */

ListenSubscription *listen_find(const ListenSubscriber *who, const char *name)
{
    ListenSubscription *sub;
    HASH_FIND_STR(who->table, name, sub);
    return sub;
}

ListenSubscription *listen_subscribe(PoolLocal *local, ListenSubscriber *who, const char *name)
{
    ListenChannel *c = channel_get(local, name);
    ListenSubscription *sub = pw_xcalloc(1, sizeof(*sub));
    sub->channel = c;
    sub->who = who;
    LIST_INSERT_HEAD(&c->subscriptions, sub, of_channel);
    HASH_ADD_KEYPTR(hh, who->table, c->name, strlen(c->name), sub);
    who->n++;
    return sub;
}

static void take_off(ListenSubscription *sub)
{
    if (sub->channel->next_told == sub)
        sub->channel->next_told = LIST_NEXT(sub, of_channel);
    LIST_REMOVE(sub, of_channel);
    HASH_DEL(sub->who->table, sub);
    sub->who->n--;
    free(sub);
}

void listen_unsubscribe(ListenSubscription *sub)
{
    ListenChannel *c = sub->channel;
    take_off(sub);
    if (LIST_EMPTY(&c->subscriptions) && c->phase == LISTEN_LIVE) /* else when it is back */
        post(c, LISTEN_LEAVING);
}

void listen_unsubscribe_all(ListenSubscriber *who)
{
    while (who->table)
        listen_unsubscribe(who->table);
}

/* ---- mail ---- */

/* The next one to be told; who is told may go, and take others along. */
static ListenSubscription *next_told(ListenChannel *c)
{
    ListenSubscription *sub = c->next_told;
    if (sub)
        c->next_told = LIST_NEXT(sub, of_channel);
    return sub;
}

/* One who asks again at once is refused again. */
static void refuse_all(ListenChannel *c)
{
    while (!LIST_EMPTY(&c->subscriptions)) {
        ListenSubscriber *who = LIST_FIRST(&c->subscriptions)->who;
        take_off(LIST_FIRST(&c->subscriptions));
        who->ops->on_refused(who, c->name, c->sqlstate, c->why);
    }
}

static void came_live(ListenChannel *c)
{
    ListenSubscription *sub;
    c->phase = LISTEN_LIVE;
    c->next_told = LIST_FIRST(&c->subscriptions);
    while ((sub = next_told(c)))
        sub->who->ops->on_live(sub->who, sub);
}

void listen_branch_arrive(MailNode *node)
{
    ListenChannel *c = (ListenChannel *)node;
    if (c->phase == LISTEN_LEAVING) {
        if (LIST_EMPTY(&c->subscriptions))
            channel_free(c);
        else
            post(c, LISTEN_ASKING); /* somebody came meanwhile */
        return;
    }
    if (c->refused) {
        refuse_all(c);
        channel_free(c);
        return;
    }
    if (LIST_EMPTY(&c->subscriptions))
        post(c, LISTEN_LEAVING);
    else
        came_live(c);
}

void listen_branch_note(MailNode *node)
{
    ListenNote *note = (ListenNote *)node;
    ListenChannel *c = note->to;
    ListenSubscription *sub;
    c->next_told = c->phase == LISTEN_LIVE ? LIST_FIRST(&c->subscriptions) : NULL;
    while ((sub = next_told(c)))
        sub->who->ops->on_note(sub->who, sub, note);
    free(note);
}
