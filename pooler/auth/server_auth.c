/* SPDX-License-Identifier: ISC */
#include "pooler/auth/server_auth.h"

#include "pooler/auth/md5.h"
#include "pooler/auth/scram_client.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char wrong_type[] = "wrong password type";
static const char no_password[] = "no password to log in with";
static const char malformed[] = "malformed authentication request";
static const char not_bound[] = "channel binding is required, but the server does not offer it";
static const char unexpected[] = "unexpected authentication request";

typedef enum ServerAuthState {
    STATE_WAITING,  /* for the first request */
    STATE_ANSWERED, /* password or verified SCRAM proof is out: only AuthenticationOk may follow */
    STATE_SCRAM,    /* in the middle of the exchange */
    STATE_WORK,     /* a derivation is out; `pending` is the challenge that needs it */
    STATE_OK,
    STATE_FAILED
} ServerAuthState;

struct ServerAuth {
    ServerAuthState state;
    char *user;
    const Secret *secret;
    ScramKeys keys; /* valid when has_keys */
    bool has_keys;
    ScramCache *cache;
    uint8_t endpoint_hash[AUTH_HASH_MAX];
    size_t endpoint_hash_len; /* 0: no channel binding */
    bool binding_required;
    bool scram_ready; /* `scram` is initialised */
    ScramClient scram;
    bool defer_work;
    PwBuf pending;
    char error[160];
};

typedef AuthStep RequestHandler(ServerAuth *auth, PwCursor *c, PwBuf *out);
static RequestHandler on_ok, on_cleartext, on_md5, on_sasl, on_sasl_continue, on_sasl_final;

typedef struct RequestRow {
    uint32_t code;
    const char *name;
    RequestHandler *handle;  /* NULL: not supported */
    ServerAuthState allowed; /* the state in which it may come */
} RequestRow;

static const RequestRow requests[] = {
    {0, "Ok", on_ok, STATE_ANSWERED}, /* also in STATE_WAITING: trust */
    {2, "Kerberos V5", NULL, STATE_WAITING},
    {3, "cleartext password", on_cleartext, STATE_WAITING},
    {5, "md5", on_md5, STATE_WAITING},
    {6, "SCM credentials", NULL, STATE_WAITING},
    {7, "GSSAPI", NULL, STATE_WAITING},
    {8, "GSSAPI", NULL, STATE_WAITING},
    {9, "SSPI", NULL, STATE_WAITING},
    {10, "SASL", on_sasl, STATE_WAITING},
    {11, "SASL", on_sasl_continue, STATE_SCRAM},
    {12, "SASL", on_sasl_final, STATE_SCRAM},
};

PwErr server_auth_create(const ServerAuthSpec *spec, ServerAuth **ret_auth)
{
    ServerAuth *auth = pw_xcalloc(1, sizeof(*auth));
    auth->user = pw_xstrdup(spec->user);
    auth->secret = spec->secret;
    auth->cache = spec->cache;
    auth->binding_required = spec->binding_required;
    if (spec->endpoint_hash_len && spec->endpoint_hash_len <= AUTH_HASH_MAX) {
        memcpy(auth->endpoint_hash, spec->endpoint_hash, spec->endpoint_hash_len);
        auth->endpoint_hash_len = spec->endpoint_hash_len;
    }
    auth->defer_work = spec->defer_work;
    pw_buf_init(&auth->pending);
    if (spec->scram_keys) {
        auth->keys = *spec->scram_keys;
        auth->has_keys = true;
    }
    *ret_auth = auth;
    return PW_OK;
}

void server_auth_destroy(ServerAuth *auth)
{
    if (!auth)
        return;
    if (auth->scram_ready)
        scram_client_finish(&auth->scram);
    free(auth->user);
    pw_buf_finish(&auth->pending);
    pw_wipe(auth, sizeof(*auth));
    free(auth);
}

static AuthStep fail(ServerAuth *auth, const char *error)
{
    auth->state = STATE_FAILED;
    snprintf(auth->error, sizeof(auth->error), "%s", error);
    return AUTH_STEP_FAILED;
}

/* NULL, or why a secret of none of the wanted kinds cannot answer. */
static const char *objection(const ServerAuth *auth, SecretKind kind, SecretKind or_kind)
{
    if (!auth->secret || auth->secret->kind == SECRET_EMPTY)
        return no_password;
    return auth->secret->kind == kind || auth->secret->kind == or_kind ? NULL : wrong_type;
}

static AuthStep send_password(ServerAuth *auth, const char *text, PwBuf *out)
{
    size_t mark = pw_msg_begin(out, PW_F_PASSWORD);
    pw_buf_append_cstr(out, text);
    pw_msg_end(out, mark);
    auth->state = STATE_ANSWERED;
    return AUTH_STEP_CONTINUE;
}

static AuthStep on_ok(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    (void)out;
    if (pw_cursor_left(c) != 0)
        return fail(auth, malformed);
    auth->state = STATE_OK;
    return AUTH_STEP_OK;
}

bool server_auth_is_done(const ServerAuth *auth)
{
    return auth->state == STATE_OK;
}

static AuthStep on_cleartext(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    if (pw_cursor_left(c) != 0)
        return fail(auth, malformed);
    const char *why = objection(auth, SECRET_PLAIN, SECRET_PLAIN);
    return why ? fail(auth, why) : send_password(auth, auth->secret->text, out);
}

static AuthStep on_md5(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    const uint8_t *salt = pw_cursor_bytes(c, MD5_SALT_LEN);
    if (c->bad || pw_cursor_left(c) != 0)
        return fail(auth, malformed);
    const char *why = objection(auth, SECRET_PLAIN, SECRET_MD5);
    if (why)
        return fail(auth, why);
    char answer[MD5_SECRET_LEN + 1];
    if (md5_response(auth->secret, auth->user, salt, answer))
        return fail(auth, "md5 is not available in the cryptography library");
    return send_password(auth, answer, out);
}

/* ---- SASL ---- */

static AuthStep scram_failure(ServerAuth *auth)
{
    return fail(auth, scram_client_detail(&auth->scram));
}

/* The mechanism to take of those on offer, NULL: none. */
static const char *choose_mechanism(const ServerAuth *auth, PwCursor *c)
{
    bool plain = false, plus = false;
    while (!c->bad && pw_cursor_left(c) > 0) {
        const char *name = pw_cursor_cstr(c);
        if (!*name)
            break;
        plain |= strcmp(name, SCRAM_MECHANISM) == 0;
        plus |= strcmp(name, SCRAM_MECHANISM_PLUS) == 0;
    }
    if (c->bad)
        return NULL;
    if (plus && auth->endpoint_hash_len)
        return SCRAM_MECHANISM_PLUS;
    return plain ? SCRAM_MECHANISM : NULL;
}

static AuthStep on_sasl(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    const char *mechanism = choose_mechanism(auth, c);
    if (!mechanism)
        return fail(auth, c->bad ? malformed : "none of the server's SASL authentication mechanisms are supported");
    if (auth->binding_required && strcmp(mechanism, SCRAM_MECHANISM_PLUS) != 0)
        return fail(auth, not_bound);
    const char *why = objection(auth, SECRET_PLAIN, SECRET_SCRAM);
    if (why)
        return fail(auth, why);

    ScramClientSpec spec = {.owner = auth->user, .cache = auth->cache, .defer_work = auth->defer_work};
    if (auth->endpoint_hash_len) {
        spec.endpoint_hash = auth->endpoint_hash;
        spec.endpoint_hash_len = auth->endpoint_hash_len;
        spec.plus = strcmp(mechanism, SCRAM_MECHANISM_PLUS) == 0;
    }
    if (auth->secret->kind == SECRET_PLAIN)
        spec.password = auth->secret->text;
    else if (auth->has_keys && scram_verifier_equal(&auth->keys.verifier, auth->secret->scram))
        spec.keys = &auth->keys;
    else
        return fail(auth, wrong_type); /* nobody has shown us the ClientKey of this verifier */
    scram_client_init(&auth->scram, &spec);
    auth->scram_ready = true;

    PwBuf first;
    pw_buf_init(&first);
    if (scram_client_first(&auth->scram, &first) != SCRAM_CONTINUE) {
        pw_buf_finish(&first);
        return scram_failure(auth);
    }
    size_t mark = pw_msg_begin(out, PW_F_PASSWORD);
    pw_buf_append_cstr(out, mechanism);
    pw_buf_append_be32(out, (uint32_t)first.len);
    pw_buf_append(out, first.data, first.len);
    pw_msg_end(out, mark);
    pw_buf_finish(&first);
    auth->state = STATE_SCRAM;
    return AUTH_STEP_CONTINUE;
}

static AuthStep scram_challenge(ServerAuth *auth, const uint8_t *challenge, size_t n, PwBuf *out)
{
    PwBuf answer;
    pw_buf_init(&answer);
    ScramStep step = scram_client_message(&auth->scram, challenge, n, &answer);
    if (step == SCRAM_WORK) {
        pw_buf_append(&auth->pending, challenge, n);
        auth->state = STATE_WORK;
        return AUTH_STEP_WORK;
    }
    if (step == SCRAM_CONTINUE) {
        size_t mark = pw_msg_begin(out, PW_F_PASSWORD);
        pw_buf_append(out, answer.data, answer.len);
        pw_msg_end(out, mark);
    }
    scram_buf_finish(&answer);
    return step == SCRAM_CONTINUE ? AUTH_STEP_CONTINUE : step == SCRAM_OK ? fail(auth, unexpected) : scram_failure(auth);
}

static AuthStep on_sasl_continue(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    return scram_challenge(auth, c->p, pw_cursor_left(c), out);
}

void server_auth_take_work(ServerAuth *auth, ScramWork *ret_work)
{
    scram_client_take_work(&auth->scram, ret_work);
}

AuthStep server_auth_resume(ServerAuth *auth, const ScramWork *work, PwBuf *out)
{
    if (auth->state != STATE_WORK)
        return fail(auth, unexpected);
    if (work->err)
        return fail(auth, "cryptography library failed");
    PwBuf challenge = auth->pending;
    pw_buf_init(&auth->pending);
    auth->state = STATE_SCRAM;
    scram_client_give_keys(&auth->scram, &work->keys);
    AuthStep step = scram_challenge(auth, pw_buf_head(&challenge), pw_buf_unread(&challenge), out);
    pw_buf_finish(&challenge);
    return step;
}

static AuthStep on_sasl_final(ServerAuth *auth, PwCursor *c, PwBuf *out)
{
    if (auth->scram.state != SCRAM_CLIENT_PROVED)
        return fail(auth, unexpected); /* an end before its challenge */
    if (scram_client_message(&auth->scram, c->p, pw_cursor_left(c), out) != SCRAM_OK)
        return scram_failure(auth);
    auth->state = STATE_ANSWERED;
    return AUTH_STEP_CONTINUE;
}

/* ---- ---- */

AuthStep server_auth_message(ServerAuth *auth, const uint8_t *payload, size_t n, PwBuf *out)
{
    if (auth->state == STATE_FAILED)
        return AUTH_STEP_FAILED; /* the first reason stays */
    if (n > PW_AUTH_MAX)
        return fail(auth, malformed);
    PwCursor c = pw_cursor(payload, n);
    uint32_t code = pw_cursor_be32(&c);
    if (c.bad)
        return fail(auth, malformed);
    for (size_t i = 0; i < PW_ARRAY_LEN(requests); i++) {
        const RequestRow *row = &requests[i];
        if (row->code != code)
            continue;
        if (!row->handle) {
            auth->state = STATE_FAILED;
            snprintf(auth->error, sizeof(auth->error), "unsupported authentication method of the server: %s",
                     row->name);
            return AUTH_STEP_FAILED;
        }
        if (auth->state != row->allowed && !(row->handle == on_ok && auth->state == STATE_WAITING))
            return fail(auth, unexpected);
        if (auth->binding_required && auth->state == STATE_WAITING && row->handle != on_sasl)
            return fail(auth, not_bound); /* before a password goes out */
        return row->handle(auth, &c, out);
    }
    auth->state = STATE_FAILED;
    snprintf(auth->error, sizeof(auth->error), "unknown authentication request %u of the server", (unsigned)code);
    return AUTH_STEP_FAILED;
}

const char *server_auth_error(const ServerAuth *auth)
{
    return auth->error;
}
