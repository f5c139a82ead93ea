/* SPDX-License-Identifier: ISC */
/* relay_error.c - what an ErrorResponse of the server means, for the client's session and for what the pooler itself has asked */
#include <stdio.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

void relay_note_error(Relay *r, Server *s, const uint8_t *payload, size_t n)
{
    const char *code = pw_error_field(payload, n, 'C');
    if (PW_UNLIKELY(r->hold & HOLD_PROBE)) {
        const char *text = pw_error_field(payload, n, 'M');
        relay_state_probe_error(r, text ? text : "?");
        return;
    }
    const PipelineEntry *head = pipeline_head(&s->pipeline);
    bool own = head && head->action == PIPE_SWALLOW;
    if (PW_UNLIKELY((r->hold & HOLD_SYNC) && r->only_checks)) { /* it is alive, no more was asked */
        const char *text = pw_error_field(payload, n, 'M');
        server_log(s, PW_LOG_WARNING, "server_check_query failed: %s", text ? text : "?");
        return;
    }
    if (PW_UNLIKELY(own && head->kind == PIPE_QUERY && !head->effects && !(r->hold & HOLD_SYNC))) {
        r->identity_reset |= r->identity_sent;
        r->startup_reset = r->restore_late = true; /* relay_state_restore, maybe in a transaction that had failed: later, or the probe */
        return;
    }
    if (PW_UNLIKELY(own && head->effects))
        relay_align_failed(s, head);
    if (PW_UNLIKELY(head && code && strcmp(code, "0A000") == 0))
        relay_stale_error(s, pipeline_first_sent(&s->pipeline), payload, n);
    session_state_error(&r->state);
    if (PW_UNLIKELY(r->listen != NULL))
        relay_notify_failed(r->listen);
    memcpy(r->sqlstate, code && strlen(code) == 5 ? code : "XX000", 6);
    const char *severity = pw_error_field(payload, n, 'V');
    if ((r->hold & HOLD_SYNC) && !(severity && strcmp(severity, "FATAL") == 0)) { /* else it ends, and the client gets another one */
        const char *text = pw_error_field(payload, n, 'M');
        server_log(s, PW_LOG_WARNING, "cannot set the client's parameters: %s", text ? text : "?");
        r->sync_failed = true;
        snprintf(relay_own_text(r), OWN_ERROR_TEXT, "%s", text ? text : "?");
    }
}

/* The client's name for it: of several the one whose Parse did not work, for that is what such errors are about. */
static const ClientStatement *used_by_client(const Relay *r, uint64_t id)
{
    const ClientStatement *cs, *next, *found = NULL;
    HASH_ITER(hh, r->statements.table, cs, next)
        if (cs->statement->id == id && (!found || cs->failed))
            found = cs;
    return found;
}

bool relay_error_renamed(Relay *r, const PipelineEntry *e, const uint8_t *payload, size_t n, PwBuf *out)
{
    const ClientStatement *cs = used_by_client(r, e->statement_id);
    const char *message = cs ? pw_error_field(payload, n, 'M') : NULL;
    char shared[STATEMENT_NAME_SIZE];
    const char *at = message ? strstr(message, statement_name(cs->statement, shared)) : NULL;
    size_t len = at ? strlen(shared) : 0;
    if (!at || (at[len] >= '0' && at[len] <= '9'))
        return false;
    size_t before = (size_t)((const uint8_t *)at - payload), mark = pw_msg_begin(out, PW_B_ERROR);
    pw_buf_append(out, payload, before);
    pw_buf_append_str(out, cs->name);
    pw_buf_append(out, payload + before + len, n - before - len);
    pw_msg_end(out, mark);
    return true;
}
