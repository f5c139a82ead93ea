/* SPDX-License-Identifier: ISC */
/* client_startup.c - the first packets: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/client/client_priv.h"
#include "pooler/relay/relay_state.h"
#include "pooler/session/encodings.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

typedef struct Startup {
    Client *c;
    char why[160]; /* text for the client when a parameter is refused */
    PwBuf pq_names; /* _pq_ options: answered with NegotiateProtocolVersion */
    uint32_t n_pq;
    unsigned n_others; /* of take_other */
} Startup;

/* Nobody is known yet: a packet full of the shortest names may not cost much. */
#define OTHERS_MAX 200

/* ---- parameters ---- */

/* The encoding is told to the client under the server's name for it, as every login does (asyncpg asks for "'utf-8'"). What no
 * encoding is called goes on as it is: the server refuses it. */
static void set_param(Client *c, int i, const char *value)
{
    const char *canonical = i == PARAM_CLIENT_ENCODING ? encoding_canonical(value) : NULL;
    params_set(&c->relay.params, (unsigned)i, canonical ? canonical : value);
}

static bool is_ignored(const Client *c, const char *key)
{
    return pw_str_list_has_ci(&client_ctx(c)->config->ignore_startup_parameters, key);
}

/* Those that PostgreSQL reports and a session may set are taken without being named, as in PgBouncer since 1.26. */
static bool is_usual(const char *name)
{
    static const char *const names[] = {"default_transaction_read_only", "intervalstyle", "scram_iterations", "search_path"};
    for (size_t i = 0; i < PW_ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* Of those that are not in ParamNames: dropped, kept, or (false) refused. */
static bool take_other(Startup *st, const char *name, const char *value, bool dropped)
{
    if (dropped)
        return true;
    char *canonical = settings_name(name);
    bool take = (params_take_all() || is_usual(name)) && !settings_name_passes(canonical) && ++st->n_others <= OTHERS_MAX;
    if (take)
        relay_state_ask_for(&st->c->relay, canonical, value);
    free(canonical);
    return take;
}

static PwErr one_option(Startup *st, char *setting)
{
    char *eq = strchr(setting, '=');
    if (!eq) {
        snprintf(st->why, sizeof(st->why),
                 "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed");
        return PW_ERR_UNSUPPORTED;
    }
    *eq = '\0';
    for (char *p = setting; *p; p++)
        if (*p == '-')
            *p = '_'; /* as PostgreSQL reads --some-name */
    int i = params_index(setting);
    if (i >= 0)
        set_param(st->c, i, eq + 1);
    else if (!take_other(st, setting, eq + 1, is_ignored(st->c, setting) || is_ignored(st->c, "options"))) {
        snprintf(st->why, sizeof(st->why), "unsupported startup parameter in options: %s", setting);
        return PW_ERR_UNSUPPORTED;
    }
    return PW_OK;
}

/* "-c name=value", "-cname=value" and "--name=value", blanks between them, backslash quotes a character. */
static PwErr read_options(Startup *st, const char *text)
{
    char *word = pw_xmalloc(strlen(text) + 1);
    bool want_value = false;
    PwErr err = PW_OK;
    while (!err) {
        text += strspn(text, " \t\n\r");
        if (!*text)
            break;
        size_t n = 0;
        for (; *text && !strchr(" \t\n\r", *text); text++) {
            if (*text == '\\' && text[1])
                text++;
            word[n++] = *text;
        }
        word[n] = '\0';
        char *setting = NULL;
        if (want_value)
            setting = word;
        else if (strcmp(word, "-c") == 0) {
            want_value = true;
            continue;
        } else if (strncmp(word, "-c", 2) == 0 || strncmp(word, "--", 2) == 0)
            setting = word + 2;
        want_value = false;
        char empty[1] = "";
        err = one_option(st, setting ? setting : empty);
    }
    if (!err && want_value) {
        char empty[1] = "";
        err = one_option(st, empty);
    }
    free(word);
    return err;
}

static PwErr on_param(void *arg, const char *key, const char *value)
{
    Startup *st = arg;
    Client *c = st->c;
    if (strcmp(key, "user") == 0) {
        free(c->user);
        c->user = pw_xstrdup(value);
    } else if (strcmp(key, "database") == 0) {
        free(c->database);
        c->database = pw_xstrdup(value);
    } else if (strcmp(key, "replication") == 0 || strcmp(key, "options") == 0) {
        return PW_OK; /* read before all others */
    } else if (strncmp(key, "_pq_.", 5) == 0) {
        pw_buf_append_cstr(&st->pq_names, key);
        st->n_pq++;
    } else {
        int i = params_index(key);
        if (i >= 0) {
            set_param(c, i, value);
        } else if (!take_other(st, key, value, is_ignored(c, key))) {
            snprintf(st->why, sizeof(st->why), "unsupported startup parameter: %s", key);
            return PW_ERR_UNSUPPORTED;
        }
    }
    return PW_OK;
}

/* What stands in `options` gives way to the same parameter in the packet itself, wherever it stands, as in PostgreSQL. */
static PwErr on_options(void *arg, const char *key, const char *value)
{
    Startup *st = arg;
    if (strcmp(key, "options") != 0)
        return PW_OK;
    if (st->c->replication == REPLICATION_NONE)
        return read_options(st, value);
    free(st->c->options);
    st->c->options = pw_xstrdup(value);
    return PW_OK;
}

/* A replication client's options are not ours to understand, so that must be known before they are read. */
static PwErr on_replication(void *arg, const char *key, const char *value)
{
    Startup *st = arg;
    if (strcmp(key, "replication") != 0 || replication_parse(value, &st->c->replication) == PW_OK)
        return PW_OK;
    snprintf(st->why, sizeof(st->why), "invalid value for parameter \"replication\": \"%.60s\"", value);
    return PW_ERR_UNSUPPORTED;
}

/* ---- packets ---- */

/* The newest version that we speak. 3.2 brings long cancel keys, which peers of PgBouncer could not pass on: in a group
 * of peers it stays 3.0. */
static uint32_t newest_protocol(const Config *config)
{
    return config->peer_id == 0 ? config->client_max_protocol_version : PW_PROTO_3_0;
}

/* The answer to what we do not know, sent once and before anything else. */
static bool negotiate(Client *c, const Startup *st)
{
    PwBuf out;
    pw_buf_init(&out);
    size_t mark = pw_msg_begin(&out, PW_B_NEGOTIATE);
    pw_buf_append_be32(&out, c->protocol);
    pw_buf_append_be32(&out, st->n_pq);
    pw_buf_append(&out, pw_buf_head(&st->pq_names), pw_buf_unread(&st->pq_names));
    pw_msg_end(&out, mark);
    bool ok = stream_send_buf(&c->relay.stream, &out);
    pw_buf_finish(&out);
    if (!ok)
        client_close(c, NULL, "client unexpected eof");
    return ok;
}

static void startup_message(Client *c, uint32_t version, const uint8_t *payload, size_t n)
{
    if (version >> 16 != 3) {
        char text[64];
        snprintf(text, sizeof(text), version >> 16 == 2 ? "old V2 protocol not supported" : "bad packet header: '%08x%08x'",
                 (unsigned)n + 8, version);
        client_close(c, text, text);
        return;
    }
    if (client_tls_is_missing(c)) {
        client_close(c, "SSL required", "SSL required");
        return;
    }
    Startup st = {.c = c};
    uint32_t newest = newest_protocol(client_ctx(c)->config);
    /* 3.1 is reserved: to whoever knows 3.2 it is 3.0 under another name, as for PostgreSQL 18 */
    c->protocol = version < newest ? version : newest;
    bool as_asked = version <= newest;
    pw_buf_init(&st.pq_names);
    PwErr err = pw_startup_params(payload, n, on_replication, &st);
    if (!err)
        err = pw_startup_params(payload, n, on_options, &st);
    if (!err)
        err = pw_startup_params(payload, n, on_param, &st);
    if (err)
        client_close(c, err == PW_ERR_PROTOCOL ? "bad startup packet" : st.why, err == PW_ERR_PROTOCOL ? "bad startup packet" : st.why);
    else if (!c->user || !*c->user)
        client_close(c, "no username supplied", "no username supplied");
    else if ((as_asked && !st.n_pq) || negotiate(c, &st)) {
        if (!c->database || !*c->database) {
            free(c->database);
            c->database = pw_xstrdup(c->user);
        }
        client_login_start(c);
    }
    pw_buf_finish(&st.pq_names);
}

void client_startup_input(Client *c)
{
    PwBuf *held = &c->relay.held;
    if (client_tls_is_direct(c)) {
        client_tls_direct(c);
        return;
    }
    while (c->state == CLIENT_STARTUP && pw_buf_unread(held) >= 8) {
        const uint8_t *p = pw_buf_head(held);
        uint32_t len = pw_be32(p), code = pw_be32(p + 4);
        if (len < 8 || len > PW_STARTUP_MAX) {
            char text[64];
            snprintf(text, sizeof(text), "bad packet header: '%02x%02x%02x%02x%02x%02x%02x%02x'", p[0], p[1], p[2], p[3],
                     p[4], p[5], p[6], p[7]);
            client_close(c, text, text);
            return;
        }
        if (pw_buf_unread(held) < len)
            return;
        if ((code == PW_CODE_SSL || code == PW_CODE_GSSENC) && len == 8) {
            client_tls_request(c, code == PW_CODE_GSSENC);
            return;
        }
        if (code == PW_CODE_CANCEL) {
            uint8_t key[CANCEL_KEY_LONG];
            if (len < 16 || len > 8 + sizeof(key)) {
                client_close(c, NULL, "bad cancel request");
                return;
            }
            memcpy(key, p + 8, len - 8);
            pw_buf_consume(held, len);
            client_cancel_request(c, key, len - 8);
            return;
        }
        uint8_t *copy = pw_xmalloc(len); /* `held` is used anew while the packet is being read */
        memcpy(copy, p, len);
        pw_buf_consume(held, len);
        startup_message(c, code, copy + 8, len - 8);
        free(copy);
    }
}
