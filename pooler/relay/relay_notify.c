/* SPDX-License-Identifier: ISC */
/* relay_notify.c - a listening client's own notifications (relay_listen.h).
 *
 * What it is about to say is noted before it goes out, because the shared connection may hear it before the client's server has
 * answered. Two that read the same, of one client and from one server, are one here as in a transaction of PostgreSQL. Should another
 * client say the very same on the very same server while a note of one that was never sent is left, the wrong one of two equal
 * notifications is called the client's own. */
#include <string.h>
#include <xxhash.h>

#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/notifies.h"

/* A note whose transaction is over waits this long for its notification. */
#define OWN_NOTIFY_USEC (5 * PW_USEC_PER_SEC)

static uint64_t digest(const char *channel, const char *payload)
{
    return XXH3_64bits_withSeed(payload, strlen(payload), XXH3_64bits(channel, strlen(channel)));
}

static void note(void *arg, const char *channel, const char *payload)
{
    RelayListen *l = arg;
    uint32_t pid = l->relay->server->backend_pid;
    uint64_t what = digest(channel, payload);
    for (unsigned i = 0; i < RELAY_OWN_NOTIFIES; i++)
        if (l->own[i].pid == pid && l->own[i].what == what && !l->own[i].ended)
            return;
    l->own[l->next_own] = (RelayOwnNotify){.pid = pid, .what = what}; /* the oldest gives way */
    l->next_own = (l->next_own + 1) % RELAY_OWN_NOTIFIES;
}

void relay_notify_sent(Relay *r, const char *sql, size_t len, const uint8_t *bind, size_t bind_len)
{
    EffectsBind values = {bind, bind_len};
    notifies_each(sql, len, relay_lex_flags(r), bind ? &values : NULL, note, r->listen);
}

bool relay_notify_is_own(RelayListen *l, uint32_t pid, const char *channel, const char *payload, PwUsec now)
{
    uint64_t what = digest(channel, payload);
    for (unsigned i = 0; i < RELAY_OWN_NOTIFIES; i++) {
        RelayOwnNotify *own = &l->own[i];
        if (own->pid != pid || own->what != what || (own->ended && now - own->since > OWN_NOTIFY_USEC))
            continue;
        own->pid = 0;
        return true;
    }
    return false;
}

void relay_notify_failed(RelayListen *l)
{
    for (unsigned i = 0; i < RELAY_OWN_NOTIFIES; i++)
        if (!l->own[i].ended)
            l->own[i].pid = 0;
}

void relay_notify_ended(RelayListen *l, PwUsec now)
{
    for (unsigned i = 0; i < RELAY_OWN_NOTIFIES; i++)
        if (l->own[i].pid && !l->own[i].ended) {
            l->own[i].ended = true;
            l->own[i].since = now;
        }
}
