/* SPDX-License-Identifier: ISC */
#include "pooler/listen/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/listen/channels.h"
#include "pooler/net/worker.h"
#include "pooler/server/server.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

typedef struct ListenHub {
    PoolLocal *local; /* of its worker */
    HubChannels channels;
    Server *server; /* connecting or up */
    bool up;
    bool failed_batch; /* an error since the batch was sent */
    bool waits_for_room; /* servers of the pool on other workers are asked for a slot */
    PwUsec said_at, heard_at; /* to and from the server, while it is up */
    PwUsec retry_at; /* not before this is another connect tried */
    PwUsec unwanted_since;
    char sqlstate[6], why[LISTEN_WHY_SIZE]; /* of the last failure */
    uint64_t notifications, connects;
} ListenHub;

static void pump(ListenHub *hub);

static WorkerCtx *ctx_of(const ListenHub *hub)
{
    return worker_ctx(hub->local->worker);
}

/* ---- answers ---- */

/* Back to its branch. */
static void answer(ListenChannel *member)
{
    member->node.run = listen_branch_arrive;
    worker_post(member->local->shard->worker, &member->node);
}

static const char *encoding_of(const ListenHub *hub)
{
    int i = params_index("client_encoding");
    const char *encoding = i >= 0 && hub->server ? params_get(&hub->server->params, (unsigned)i) : NULL;
    return encoding ? encoding : "";
}

static void on_live(void *arg, ListenChannel *member)
{
    const ListenHub *hub = arg;
    member->refused = false;
    snprintf(member->encoding, sizeof(member->encoding), "%s", encoding_of(hub));
    answer(member);
}

static void on_refused(void *arg, ListenChannel *member)
{
    const ListenHub *hub = arg;
    member->refused = true;
    memcpy(member->sqlstate, hub->sqlstate, sizeof(member->sqlstate));
    memcpy(member->why, hub->why, sizeof(member->why));
    answer(member);
}

static void post_note(ListenChannel *to, ListenNoteKind kind, const uint8_t *message, size_t n, bool ascii)
{
    ListenNote *note = pw_xcalloc(1, sizeof(*note) + n);
    note->node.run = listen_branch_note;
    note->to = to;
    note->kind = kind;
    note->len = (uint32_t)n;
    note->ascii = ascii;
    if (n) {
        note->pid = pw_be32(message + PW_WIRE_HEADER);
        memcpy(note->message, message, n);
    }
    worker_post(to->local->shard->worker, &note->node);
}

static void on_gap(void *arg, HubChannel *channel)
{
    (void)arg;
    ListenChannel *m;
    LIST_FOREACH(m, &channel->members, member)
        if (m->told)
            post_note(m, LISTEN_NOTE_GAP, NULL, 0, true);
}

static const HubChannelsOps channel_ops = {on_live, on_refused, on_gap};

static void note_failure(ListenHub *hub, const char *sqlstate, const char *why)
{
    snprintf(hub->sqlstate, sizeof(hub->sqlstate), "%s", sqlstate);
    snprintf(hub->why, sizeof(hub->why), "%s", why);
}

/* ---- life ---- */

static void hub_free(ListenHub *hub)
{
    PoolEntry *entry = hub->local->entry;
    hub->local->listen_hub = NULL;
    hub_channels_finish(&hub->channels);
    free(hub);
    registry_unref(entry);
}

static ListenHub *hub_get(PoolLocal *local, Worker *w)
{
    if (!local->listen_hub) {
        context_setup_pool(worker_ctx(w), local); /* it may have no clients here */
        local->listen_hub = pw_xcalloc(1, sizeof(*local->listen_hub));
        local->listen_hub->local = local;
        registry_ref(local->entry);
    }
    return local->listen_hub;
}

/* From here on it is nobody's: hears nothing more of it. */
static void drop_server(ListenHub *hub, const char *why)
{
    Server *s = hub->server;
    if (!s)
        return;
    hub->server = NULL;
    s->user = NULL;
    if (s->phase == SERVER_LINKED)
        s->phase = SERVER_CHORE; /* all that was sent was whole: it may get a Terminate */
    if (hub->up)
        hub_channels_lost(&hub->channels);
    hub->up = false;
    server_close(s, why);
}

/* Everybody who waits for an answer hears why there is none. */
static void connect_failed(ListenHub *hub, const char *sqlstate, const char *why)
{
    hub->retry_at = worker_now(hub->local->worker) + ctx_of(hub)->config->server_login_retry;
    note_failure(hub, sqlstate, why);
    hub_channels_refuse_untold(&hub->channels, &channel_ops, hub);
}

static void on_gone(Server *s, const char *reason)
{
    ListenHub *hub = s->user_arg;
    bool was_up = hub->up;
    hub->server = NULL;
    hub->up = false;
    if (was_up) {
        server_log(s, PW_LOG_WARNING, "the shared listening connection is lost: %s", reason);
        hub_channels_lost(&hub->channels);
        hub->retry_at = 0;
    } else {
        char why[LISTEN_WHY_SIZE];
        snprintf(why, sizeof(why), "the shared listening connection failed: %s", reason);
        connect_failed(hub, "08006", why);
    }
    /* the next tick connects: not inside a close */
}

/* ---- the server speaks ---- */

static bool is_ascii(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] >= 0x80)
            return false;
    return true;
}

static void on_notification(ListenHub *hub, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    pw_cursor_be32(&c);
    const char *name = pw_cursor_cstr(&c);
    const char *text = pw_cursor_cstr(&c);
    HubChannel *channel = c.bad ? NULL : hub_channels_find(&hub->channels, name);
    if (!channel)
        return;
    hub->notifications++;
    bool ascii = is_ascii((const uint8_t *)name, strlen(name)) && is_ascii((const uint8_t *)text, strlen(text));
    ListenChannel *m;
    LIST_FOREACH(m, &channel->members, member)
        if (m->told)
            post_note(m, LISTEN_NOTE_NOTIFICATION, payload - PW_WIRE_HEADER, n + PW_WIRE_HEADER, ascii);
}

static void batch_done(ListenHub *hub)
{
    bool ok = !hub->failed_batch;
    hub->failed_batch = false;
    if (hub->channels.in_batch == 0)
        return;
    if (hub_channels_done(&hub->channels, ok, &channel_ops, hub))
        return;
    /* a standby, for example: as long as it does not listen for those who were told so, it is as if it were lost */
    hub->retry_at = worker_now(hub->local->worker) + ctx_of(hub)->config->server_login_retry;
    drop_server(hub, "it cannot listen");
}

/* False: the server was closed. */
static bool message(ListenHub *hub, uint8_t type, const uint8_t *payload, size_t n)
{
    Server *s = hub->server;
    if (type == PW_B_NOTIFICATION) {
        on_notification(hub, payload, n);
        return true;
    }
    if (server_take_async(s, type, payload, n))
        return true;
    if (type == PW_B_ERROR) {
        const char *text = pw_error_field(payload, n, 'M'), *code = pw_error_field(payload, n, 'C');
        if (!pipeline_head(&s->pipeline)) { /* its good-bye */
            server_close(s, text ? text : "server conn crashed?");
            return false;
        }
        note_failure(hub, code && strlen(code) == 5 ? code : "XX000", text ? text : "?");
        server_log(s, PW_LOG_WARNING, "cannot listen: %s", hub->why);
        hub->failed_batch = true;
    }
    PipelineEntry done;
    bool completed;
    if (pipeline_reply(&s->pipeline, type, &done, &completed) == PIPE_VERDICT_MISMATCH) {
        server_close(s, "unexpected message from server");
        return false;
    }
    if (completed)
        server_entry_release(&done);
    if (type == PW_B_READY && n == 1)
        s->txn_status = payload[0];
    if (type == PW_B_READY && pipeline_is_clean(&s->pipeline)) {
        batch_done(hub);
        if (!hub->server)
            return false;
    }
    return true;
}

static void on_input(Server *s)
{
    ListenHub *hub = s->user_arg;
    ServerInput in;
    ServerMessage m;
    if (!server_read(s, &in))
        return;
    hub->heard_at = worker_now(hub->local->worker);
    while (server_next_message(&in, &m))
        if (!message(hub, m.type, m.payload, m.n))
            return;
    if (in.bad) {
        server_close(s, "bad pkt header");
        return;
    }
    server_hold(s, in.p, in.n);
    pump(hub);
}

static void on_up(Server *s)
{
    ListenHub *hub = s->user_arg;
    hub->up = true;
    hub->failed_batch = false;
    hub->retry_at = 0;
    hub->heard_at = worker_now(hub->local->worker);
    hub->connects++;
    server_log(s, PW_LOG_LOG, "listens for the clients of its pool");
    pump(hub);
}

/* Nothing when it is drained: a batch is small, and the next one waits for its end. */
static const ServerUser hub_user = {on_input, NULL, on_gone, on_up};

/* ---- what is to be done ---- */

/* Slots are taken by idle servers of this pool on other workers. */
static void close_longest_idle(Worker *w, void *arg)
{
    PoolEntry *entry = arg;
    PoolServer *idle = TAILQ_LAST(&entry->locals[w->index].shard->idle, PoolServerList);
    if (idle)
        server_close(server_of(idle), "evicted");
}

static void room_was_made(Worker *origin, void *arg)
{
    PoolEntry *entry = arg;
    ListenHub *hub = entry->locals[origin->index].listen_hub;
    if (hub)
        hub->waits_for_room = false;
    registry_unref(entry);
}

static void ask_for_room(ListenHub *hub)
{
    if (hub->waits_for_room)
        return;
    hub->waits_for_room = true;
    registry_ref(hub->local->entry);
    worker_tour(hub->local->worker, close_longest_idle, room_was_made, hub->local->entry);
}

static void connect_now(ListenHub *hub)
{
    PwUsec now = worker_now(hub->local->worker);
    if (hub->local->shard->blocked || now < hub->retry_at || hub_channels_unwanted(&hub->channels))
        return;
    if (!hub->local->dbconf) {
        connect_failed(hub, "08006", "database removed");
        return;
    }
    hub->server = server_open_beside(hub->local, &hub_user, hub);
    if (!hub->server)
        ask_for_room(hub); /* the next tick tries again; who waits here has its own patience */
}

static void say(ListenHub *hub, const char *sql)
{
    hub->said_at = worker_now(hub->local->worker);
    (void)server_send_own(hub->server, sql); /* if it fails on_gone has been called */
}

/* Nobody would notice that the network between them has died: a server that says nothing is asked now and then. */
static void check(ListenHub *hub, PwUsec now)
{
    const Config *config = ctx_of(hub)->config;
    PwUsec limit = config->server_connect_timeout, silence = config->server_check_delay;
    if (!pipeline_is_clean(&hub->server->pipeline)) {
        if (limit && now - hub->said_at >= limit)
            server_close(hub->server, "server check timeout");
    } else if (now - hub->heard_at >= (silence > PW_USEC_PER_SEC ? silence : PW_USEC_PER_SEC)) {
        say(hub, "");
    }
}

/* Says what is to be said to the server, opens it if need be. */
static void pump(ListenHub *hub)
{
    PwBuf sql;
    if (!hub->server)
        connect_now(hub);
    if (!hub->up || !hub->server)
        return;
    pw_buf_init(&sql);
    if (hub_channels_next(&hub->channels, &sql)) {
        pw_buf_append_u8(&sql, 0);
        say(hub, (const char *)pw_buf_head(&sql));
    }
    pw_buf_finish(&sql);
}

void listen_hub_arrive(MailNode *node)
{
    ListenChannel *member = (ListenChannel *)node;
    PoolLocal *local = listen_hub_local(member->local->entry);
    ListenHub *hub = hub_get(local, worker_get(local->entry->listen_worker));
    if (member->leave) {
        if (member->hub_channel)
            hub_channels_leave(&hub->channels, member);
        answer(member);
    } else if (hub_channels_join(&hub->channels, member)) {
        on_live(hub, member);
    }
    pump(hub);
}

/* The connection may stay no longer: why, else NULL. */
static const char *end_reason(const ListenHub *hub)
{
    const PoolLocal *local = hub->local;
    if (!hub->server)
        return NULL;
    if (local->shard->blocked)
        return "pause mode";
    if (!local->dbconf)
        return "database removed";
    if (server_is_obsolete(hub->server))
        return "obsolete connection";
    return NULL;
}

void listen_hub_refresh(PoolLocal *local)
{
    ListenHub *hub = local->listen_hub;
    if (!hub)
        return;
    const char *why = end_reason(hub);
    if (!why)
        return;
    drop_server(hub, why);
    hub->retry_at = 0;
}

void listen_hub_tick(PoolLocal *local, PwUsec now)
{
    ListenHub *hub = local->listen_hub;
    if (!hub)
        return;
    if (hub->server)
        server_maintain_beside(hub->server, now);
    if (hub->up)
        check(hub, now);
    listen_hub_refresh(local);
    pump(hub);
    if (!hub_channels_unwanted(&hub->channels)) {
        hub->unwanted_since = 0;
        return;
    }
    if (!hub->unwanted_since)
        hub->unwanted_since = now;
    PwUsec stay = local->settings.server_idle_timeout;
    bool alone = pw_atomic_load(&local->entry->clients) == 1; /* the reference is the hub's own */
    if (hub->server && !alone && (!stay || now - hub->unwanted_since < stay))
        return;
    drop_server(hub, "nobody listens");
    hub_free(hub);
}

bool listen_hub_info(const PoolLocal *local, ListenHubInfo *ret)
{
    const ListenHub *hub = local->listen_hub;
    if (!hub)
        return false;
    *ret = (ListenHubInfo){.server = hub->server,
                           .state = hub->up ? "up" : hub->server ? "connecting" : local->shard->blocked ? "paused" : "down",
                           .channels = hub_channels_count(&hub->channels),
                           .notifications = hub->notifications,
                           .connects = hub->connects};
    return true;
}
