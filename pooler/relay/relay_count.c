/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_count.h"

#include "pooler/relay/relay_priv.h"
#include "poolwise/wire.h"

#include <string.h>

void relay_count_query(Relay *r, QueryEntry *q, PwUsec now, uint64_t out)
{
    if (q) {
        query_entry_done(q, now - r->last_done, r->wait_usec, r->rows, r->stream.bytes_in - r->done_in,
                         out - r->done_out, r->sqlstate[0] ? r->sqlstate : NULL);
        r->done_in = r->stream.bytes_in;
        r->done_out = out;
        r->wait_usec = 0;
    }
    r->rows = 0;
    r->sqlstate[0] = '\0';
    r->last_done = now;
}

static void count_request(Relay *r, PwUsec now)
{
    PoolStats *st = &r->local->stats;
    st->query_count++;
    r->ctx->queries_done++;
    st->query_time += (uint64_t)(now - r->request_start);
}

static void count_transaction(Relay *r, PwUsec now)
{
    PoolStats *st = &r->local->stats;
    st->xact_count++;
    r->ctx->xacts_done++;
    st->xact_time += (uint64_t)(now - r->xact_start);
}

void relay_count_ready(Relay *r, PwUsec now)
{
    count_request(r, now);
    r->request_start = now; /* of the next one in the pipeline; a clean ReadyForQuery sets it to 0 */
    if (r->server->txn_status == 'I') {
        count_transaction(r, now);
        r->xact_start = r->server->pipeline.count ? now : 0;
    }
}

void relay_count_failed_group(Relay *r, PwUsec now, uint64_t out)
{
    RelayExtended *x = r->ext;
    if (x && x->failed)
        relay_count_query(r, x->failed, now, out);
    if (x) {
        x->failed = NULL;
        x->blames = false;
    }
    r->sqlstate[0] = '\0';
}

/* The client is told another error than the server's. */
static void take_code(Relay *r, const PwBuf *told)
{
    const char *code = pw_error_field((const uint8_t *)pw_buf_head(told) + PW_WIRE_HEADER, pw_buf_unread(told) - PW_WIRE_HEADER, 'C');
    if (code && strlen(code) == sizeof(r->sqlstate) - 1)
        memcpy(r->sqlstate, code, sizeof(r->sqlstate));
}

void relay_count_blame(Relay *r, const PipelineEntry *about)
{
    if (!r->ext)
        return;
    r->ext->blames = false;
    if (!about)
        return;
    switch ((PipelineKind)about->kind) {
    case PIPE_PARSE:
    case PIPE_BIND:
    case PIPE_DESCRIBE_STATEMENT:
    case PIPE_DESCRIBE_PORTAL:
    case PIPE_CLOSE:
        r->ext->blames = true;
        return;
    case PIPE_REFUSED:
        take_code(r, about->statement);
        r->ext->blames = true;
        return;
    case PIPE_QUERY: /* these count, and their error with them */
    case PIPE_EXECUTE:
    case PIPE_FUNCTION:
    case PIPE_SYNC: /* a commit that fails: whatever is next is not to blame */
    case PIPE_COPY_END:
    case PIPE_KIND_COUNT:
        return;
    }
}

/* Does it run something that is counted? */
static bool runs(const PipelineEntry *e)
{
    return e->query && e->action == PIPE_FORWARD && (e->kind == PIPE_QUERY || e->kind == PIPE_EXECUTE);
}

/* All that is owed is looked at, the oldest first: was it this one that was running? What is behind a Sync was not. */
static bool was_running(Relay *r, const PipelineEntry *e)
{
    if (!r->ext && !runs(e))
        return false;
    RelayExtended *x = r->ext ? r->ext : relay_extended(r);
    bool it = !x->cut && !x->failed && runs(e);
    x->cut |= it || e->kind == PIPE_SYNC;
    return it;
}

bool relay_count_keeps(Relay *r, const PipelineEntry *e)
{
    bool server_gone = r->server->phase == SERVER_CLOSED && r->server->replication == REPLICATION_NONE;
    if (!(server_gone ? was_running(r, e) : r->ext && r->ext->blames && e->kind == PIPE_EXECUTE && runs(e)))
        return false;
    r->ext->failed = e->query;
    r->ext->blames = false;
    return true;
}

void relay_count_server_gone(Relay *r)
{
    if (!r->ext)
        return;
    r->ext->cut = false;
    if (r->ext->failed && !r->sqlstate[0])
        memcpy(r->sqlstate, "08006", sizeof(r->sqlstate));
}

static void keep_first(void *arg, PipelineEntry *e)
{
    Relay *r = arg;
    if (!was_running(r, e))
        return;
    r->ext->failed = e->query;
    e->query = NULL;
}

void relay_count_end(Relay *r)
{
    PwUsec now = worker_now(r->stream.worker);
    if (r->server && r->server->replication == REPLICATION_NONE)
        pipeline_visit(&r->server->pipeline, keep_first, r);
    if (r->ext && r->ext->failed) {
        if (!r->sqlstate[0] && !r->terminated) /* who says good-bye lets it finish; else it is cancelled */
            memcpy(r->sqlstate, "57014", sizeof(r->sqlstate));
        relay_count_failed_group(r, now, stream_bytes_given(&r->stream));
    }
    const Server *s = r->server;
    bool asked = r->request_start && (!s || s->pipeline.count || s->pipeline.open);
    if (asked)
        count_request(r, now);
    if (r->xact_start && (asked || !s || s->txn_status != 'I'))
        count_transaction(r, now);
    r->request_start = r->xact_start = 0;
}

bool relay_tell(Relay *r, PwBuf *out)
{
    r->local->stats.bytes_sent += pw_buf_unread(out);
    return stream_send_buf(&r->stream, out);
}
