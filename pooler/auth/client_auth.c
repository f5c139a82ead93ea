/* SPDX-License-Identifier: ISC */
#include "pooler/auth/client_auth.h"

#include "pooler/auth/md5.h"
#include "pooler/auth/password.h"
#include "pooler/auth/scram_server.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

#include <openssl/rand.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_CLEARTEXT 3
#define AUTH_MD5 5
#define AUTH_SASL 10
#define AUTH_SASL_CONTINUE 11
#define AUTH_SASL_FINAL 12
#define NO_INITIAL_RESPONSE UINT32_MAX /* -1 on the wire */

static const char trust_failed[] = "\"trust\" authentication failed";
static const char password_failed[] = "password authentication failed";
static const char sasl_failed[] = "SASL authentication failed";
static const char empty_password[] = "empty password returned by client";
static const char wrong_mechanism[] = "client selected an invalid SASL authentication mechanism";
static const char bad_packet[] = "invalid password packet";

/* What is really asked of the client; the method and the kind of the secret decide it. */
typedef enum Exchange {
    EXCHANGE_NONE,
    EXCHANGE_PLAIN,
    EXCHANGE_MD5,
    EXCHANGE_SCRAM,
    EXCHANGE_COUNT
} Exchange;

typedef enum ClientAuthState {
    STATE_NEW,
    STATE_ASKED,        /* the request is out; for SCRAM the mechanism is not chosen */
    STATE_SCRAM,        /* the mechanism is chosen */
    STATE_WORK,         /* a derivation is out; `pending` holds the message that needs it */
    STATE_OK,
    STATE_FAILED
} ClientAuthState;

struct ClientAuth {
    ClientAuthMethod method;
    Exchange exchange;
    ClientAuthState state;
    char user[AUTH_USER_MAX + 1];
    const Secret *secret; /* NULL: unknown user */
    uint32_t iterations;
    ScramCache *cache;
    uint8_t endpoint_hash[AUTH_HASH_MAX];
    size_t endpoint_hash_len; /* 0: no channel binding */
    bool binding_required;
    uint8_t md5_salt[MD5_SALT_LEN];
    bool scram_ready; /* `scram` is initialised */
    ScramServer scram;
    ScramKeys keys; /* valid when has_keys */
    bool has_keys;
    bool defer_work;
    ScramWork work;    /* STATE_WORK, until it is taken */
    PwBuf pending;     /* the message that is handled once the keys are there */
    ClientAuthState pending_state;
    ScramKeys derived; /* valid when has_derived: of the work that came back */
    bool has_derived;
    char *password; /* after OK by clear text, see client_auth_password */
    const char *error, *detail;
};

typedef struct ExchangeRow {
    void (*ask)(ClientAuth *auth, PwBuf *out);
    AuthStep (*on_message)(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out);
} ExchangeRow;

static void ask_plain(ClientAuth *auth, PwBuf *out);
static void ask_md5(ClientAuth *auth, PwBuf *out);
static void ask_scram(ClientAuth *auth, PwBuf *out);
static AuthStep on_password(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out);
static AuthStep on_sasl(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out);

static const ExchangeRow exchanges[] = {
    [EXCHANGE_NONE] = {NULL, NULL}, /* over at the start */
    [EXCHANGE_PLAIN] = {ask_plain, on_password},
    [EXCHANGE_MD5] = {ask_md5, on_password},
    [EXCHANGE_SCRAM] = {ask_scram, on_sasl},
};
static_assert(PW_ARRAY_LEN(exchanges) == EXCHANGE_COUNT, "a row for each exchange");

static Exchange choose_exchange(ClientAuthMethod method, const Secret *secret)
{
    switch (method) {
    case CLIENT_AUTH_PLAIN:
    case CLIENT_AUTH_EXTERNAL:
        return EXCHANGE_PLAIN;
    case CLIENT_AUTH_MD5:
        return secret && secret->kind == SECRET_SCRAM ? EXCHANGE_SCRAM : EXCHANGE_MD5;
    case CLIENT_AUTH_SCRAM:
        return EXCHANGE_SCRAM;
    case CLIENT_AUTH_TRUST:
    case CLIENT_AUTH_ANY:
    case CLIENT_AUTH_METHOD_COUNT:
        break;
    }
    return EXCHANGE_NONE;
}

PwErr client_auth_create(const ClientAuthSpec *spec, ClientAuth **ret_auth)
{
    size_t n = strlen(spec->user);
    if (n > AUTH_USER_MAX || spec->endpoint_hash_len > AUTH_HASH_MAX)
        return PW_ERR_TOO_LARGE;
    ClientAuth *auth = pw_xcalloc(1, sizeof(*auth));
    auth->method = spec->method;
    auth->exchange = choose_exchange(spec->method, spec->secret);
    auth->secret = spec->secret;
    auth->iterations = spec->scram_iterations ? spec->scram_iterations : SCRAM_ITERATIONS_DEFAULT;
    auth->cache = spec->cache;
    auth->defer_work = spec->defer_work;
    pw_buf_init(&auth->pending);
    memcpy(auth->user, spec->user, n + 1);
    if (spec->endpoint_hash_len)
        memcpy(auth->endpoint_hash, spec->endpoint_hash, spec->endpoint_hash_len);
    auth->endpoint_hash_len = spec->endpoint_hash_len;
    auth->binding_required = spec->binding_required;
    if (auth->exchange == EXCHANGE_MD5 && RAND_bytes(auth->md5_salt, MD5_SALT_LEN) != 1) {
        client_auth_destroy(auth);
        return PW_ERR_IO;
    }
    *ret_auth = auth;
    return PW_OK;
}

void client_auth_destroy(ClientAuth *auth)
{
    if (!auth)
        return;
    if (auth->scram_ready)
        scram_server_finish(&auth->scram);
    scram_work_finish(&auth->work);
    scram_buf_finish(&auth->pending);
    if (auth->password)
        pw_wipe(auth->password, strlen(auth->password));
    free(auth->password);
    pw_wipe(auth, sizeof(*auth));
    free(auth);
}

static AuthStep fail(ClientAuth *auth, const char *error, const char *detail)
{
    auth->state = STATE_FAILED;
    auth->error = error;
    auth->detail = detail;
    return AUTH_STEP_FAILED;
}

static AuthStep succeed(ClientAuth *auth)
{
    auth->state = STATE_OK;
    return AUTH_STEP_OK;
}

/* ---- requests ---- */

static size_t begin_request(PwBuf *out, uint32_t code)
{
    size_t mark = pw_msg_begin(out, PW_B_AUTH);
    pw_buf_append_be32(out, code);
    return mark;
}

static void ask_plain(ClientAuth *auth, PwBuf *out)
{
    (void)auth;
    pw_msg_end(out, begin_request(out, AUTH_CLEARTEXT));
}

static void ask_md5(ClientAuth *auth, PwBuf *out)
{
    size_t mark = begin_request(out, AUTH_MD5);
    pw_buf_append(out, auth->md5_salt, MD5_SALT_LEN);
    pw_msg_end(out, mark);
}

static void ask_scram(ClientAuth *auth, PwBuf *out)
{
    size_t mark = begin_request(out, AUTH_SASL);
    if (auth->binding_required)
        pw_buf_append_cstr(out, SCRAM_MECHANISM_PLUS);
    else
        scram_server_mechanisms(auth->endpoint_hash_len > 0, out);
    pw_buf_append_u8(out, 0);
    pw_msg_end(out, mark);
}

AuthStep client_auth_start(ClientAuth *auth, PwBuf *out)
{
    if (auth->state != STATE_NEW)
        return fail(auth, bad_packet, "login was started twice");
    if (auth->exchange == EXCHANGE_NONE) {
        if (auth->method == CLIENT_AUTH_TRUST && !auth->secret)
            return fail(auth, trust_failed, "no such user");
        return succeed(auth);
    }
    if (auth->exchange == EXCHANGE_SCRAM && auth->binding_required && !auth->endpoint_hash_len)
        return fail(auth, sasl_failed, "channel binding is required, and there is no TLS");
    exchanges[auth->exchange].ask(auth, out);
    auth->state = STATE_ASKED;
    return AUTH_STEP_CONTINUE;
}

/* ---- derivations ---- */

/* True: `payload` waits for keys that another thread derives. */
static bool hand_out(ClientAuth *auth, const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                     const uint8_t *payload, size_t n)
{
    ScramKeys keys;
    if (!auth->defer_work || auth->has_derived)
        return false;
    PwErr err = scram_cache_find(auth->cache, auth->user, password, salt, salt_len, iterations, &keys);
    pw_wipe(&keys, sizeof(keys));
    if (err != PW_ERR_NOT_FOUND ||
        scram_work_init(&auth->work, auth->cache, auth->user, password, salt, salt_len, iterations) != PW_OK)
        return false;
    pw_buf_reserve(&auth->pending, n); /* in one piece: it may hold a password */
    pw_buf_append(&auth->pending, payload, n);
    auth->pending_state = auth->state;
    auth->state = STATE_WORK;
    return true;
}

void client_auth_take_work(ClientAuth *auth, ScramWork *ret_work)
{
    *ret_work = auth->work;
    auth->work = (ScramWork){0};
}

AuthStep client_auth_resume(ClientAuth *auth, const ScramWork *work, PwBuf *out)
{
    if (auth->state != STATE_WORK || auth->method == CLIENT_AUTH_EXTERNAL)
        return fail(auth, bad_packet, "login was resumed out of order");
    PwBuf payload = auth->pending;
    pw_buf_init(&auth->pending);
    auth->state = auth->pending_state;
    AuthStep step = AUTH_STEP_FAILED;
    if (work->err) {
        (void)fail(auth, auth->exchange == EXCHANGE_SCRAM ? sasl_failed : password_failed, "cryptography library failed");
    } else {
        auth->derived = work->keys;
        auth->has_derived = true;
        step = exchanges[auth->exchange].on_message(auth, pw_buf_head(&payload), pw_buf_unread(&payload), out);
    }
    scram_buf_finish(&payload);
    return step;
}

AuthStep client_auth_judged(ClientAuth *auth, bool right, const char *error)
{
    if (auth->state != STATE_WORK || auth->method != CLIENT_AUTH_EXTERNAL)
        return fail(auth, bad_packet, "login was resumed out of order");
    return right ? succeed(auth) : fail(auth, error, NULL);
}

/* ---- PasswordMessage ---- */

static PwErr verify_clear_text(ClientAuth *auth, const char *password)
{
    if (auth->secret->kind != SECRET_SCRAM || !auth->has_derived)
        return password_verify(auth->secret, auth->user, password, auth->cache);
    if (!password_keys_match(auth->secret, &auth->derived))
        return PW_ERR_AUTH;
    scram_cache_keep(auth->cache, auth->user, password, &auth->derived);
    return PW_OK;
}

/* A wrong clear-text password costs one derivation whatever is stored, and so does a name that does not exist: otherwise the
 * time that an answer takes would tell who has a SCRAM secret. */
static bool hand_out_mock(ClientAuth *auth, const char *password, const uint8_t *payload, size_t n)
{
    uint8_t salt[SCRAM_ADHOC_SALT_LEN];
    return scram_cache_salt(auth->cache, auth->user, salt) == PW_OK &&
           hand_out(auth, password, salt, sizeof(salt), auth->iterations, payload, n);
}

static AuthStep on_password(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out)
{
    (void)out;
    const char *password = (const char *)payload;
    if (n == 0 || memchr(payload, '\0', n) != payload + n - 1)
        return fail(auth, bad_packet, NULL);
    if (n == 1)
        return fail(auth, empty_password, NULL);
    if (auth->method == CLIENT_AUTH_EXTERNAL) {
        auth->password = pw_xstrdup(password);
        auth->state = STATE_WORK;
        return AUTH_STEP_WORK;
    }
    bool clear = auth->exchange == EXCHANGE_PLAIN;
    if (!auth->secret)
        return clear && hand_out_mock(auth, password, payload, n) ? AUTH_STEP_WORK : fail(auth, password_failed, "no such user");
    const ScramVerifier *v = auth->secret->scram;
    if (clear && v && hand_out(auth, password, v->salt, v->salt_len, v->iterations, payload, n))
        return AUTH_STEP_WORK;

    PwErr err = clear ? verify_clear_text(auth, password)
                      : md5_verify(auth->secret, auth->user, auth->md5_salt, password, n - 1);
    if (err == PW_OK) {
        if (clear && auth->secret->kind != SECRET_PLAIN)
            auth->password = pw_xstrdup(password);
        return succeed(auth);
    }
    if (err != PW_ERR_AUTH)
        return fail(auth, password_failed, "cryptography library failed");
    if (clear && !v && hand_out_mock(auth, password, payload, n))
        return AUTH_STEP_WORK;
    return fail(auth, password_failed, auth->secret->kind == SECRET_EMPTY ? "user has no password" : "wrong password");
}

/* ---- SASL ---- */

/* The verifier of a user who has none: the same salt each time, keys that fit no password. */
static PwErr mock_verifier(ClientAuth *auth, ScramVerifier *ret_verifier)
{
    *ret_verifier = (ScramVerifier){.iterations = auth->iterations, .salt_len = SCRAM_ADHOC_SALT_LEN};
    return scram_cache_salt(auth->cache, auth->user, ret_verifier->salt);
}

/* A salt that depends on the name only makes an ad-hoc verifier survive the cache, and makes a user who has a
 * password look like one who does not exist. */
static PwErr adhoc_verifier(ClientAuth *auth, ScramVerifier *ret_verifier)
{
    uint8_t salt[SCRAM_ADHOC_SALT_LEN];
    ScramKeys keys = auth->derived;
    PwErr err = auth->has_derived ? PW_OK : scram_cache_salt(auth->cache, auth->user, salt);
    if (!err && !auth->has_derived)
        err = scram_cache_keys(auth->cache, auth->user, auth->secret->text, salt, sizeof(salt), auth->iterations,
                               &keys);
    if (err)
        return err;
    *ret_verifier = keys.verifier;
    pw_wipe(&keys, sizeof(keys));
    return PW_OK;
}

static bool hand_out_adhoc(ClientAuth *auth, const uint8_t *payload, size_t n)
{
    uint8_t salt[SCRAM_ADHOC_SALT_LEN];
    if (scram_cache_salt(auth->cache, auth->user, salt) ||
        !hand_out(auth, auth->secret->text, salt, sizeof(salt), auth->iterations, payload, n))
        return false;
    auth->work.keep = true; /* the stored password is right by definition */
    return true;
}

static PwErr start_scram(ClientAuth *auth)
{
    ScramVerifier verifier;
    ScramServerSpec spec = {.verifier = &verifier, .endpoint_hash_len = auth->endpoint_hash_len};
    PwErr err = PW_OK;
    if (auth->endpoint_hash_len)
        spec.endpoint_hash = auth->endpoint_hash;
    switch (auth->secret ? auth->secret->kind : SECRET_KIND_COUNT) {
    case SECRET_SCRAM:
        verifier = *auth->secret->scram;
        break;
    case SECRET_PLAIN:
        err = adhoc_verifier(auth, &verifier);
        break;
    case SECRET_EMPTY:
    case SECRET_MD5:
    case SECRET_KIND_COUNT: /* no such user */
        spec.doomed = true;
        err = mock_verifier(auth, &verifier);
        break;
    }
    if (err)
        return err;
    scram_server_init(&auth->scram, &spec);
    auth->scram_ready = true;
    pw_wipe(&verifier, sizeof(verifier));
    return PW_OK;
}

static const char *scram_failure(const ClientAuth *auth)
{
    if (auth->scram.spec.doomed && strcmp(scram_server_detail(&auth->scram), "wrong password") == 0) {
        if (!auth->secret)
            return "no such user";
        return auth->secret->kind == SECRET_MD5 ? "user has an md5 secret, which SCRAM cannot use"
                                                : "user has no password";
    }
    return scram_server_detail(&auth->scram);
}

static AuthStep scram_step(ClientAuth *auth, const uint8_t *data, size_t n, PwBuf *out)
{
    PwBuf answer;
    pw_buf_init(&answer);
    ScramStep step = scram_server_message(&auth->scram, data, n, &answer);
    AuthStep result = AUTH_STEP_FAILED;
    switch (step) {
    case SCRAM_CONTINUE:
    case SCRAM_OK: {
        size_t mark = begin_request(out, step == SCRAM_OK ? AUTH_SASL_FINAL : AUTH_SASL_CONTINUE);
        pw_buf_append(out, answer.data, answer.len);
        pw_msg_end(out, mark);
        result = step == SCRAM_OK ? succeed(auth) : AUTH_STEP_CONTINUE;
        break;
    }
    case SCRAM_FAILED:
    case SCRAM_PROTOCOL:
    case SCRAM_WORK: /* the server's side has its keys from the start */
    case SCRAM_STEP_COUNT:
        result = fail(auth, sasl_failed, scram_failure(auth));
        break;
    }
    if (step == SCRAM_OK && auth->secret->kind == SECRET_SCRAM) {
        memcpy(auth->keys.client_key, auth->scram.client_key, SCRAM_KEY_LEN);
        auth->keys.verifier = *auth->secret->scram;
        auth->has_keys = true;
    }
    pw_buf_finish(&answer);
    return result;
}

/* SASLInitialResponse: mechanism, length of the data or -1, data. */
static AuthStep on_sasl_initial(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out)
{
    PwCursor c = pw_cursor(payload, n);
    const char *mechanism = pw_cursor_cstr(&c);
    uint32_t size = pw_cursor_be32(&c);
    size_t data_len = size == NO_INITIAL_RESPONSE ? 0 : size;
    const uint8_t *data = pw_cursor_bytes(&c, data_len);
    if (c.bad || pw_cursor_left(&c) != 0)
        return fail(auth, sasl_failed, "malformed SASLInitialResponse");
    if (auth->secret && auth->secret->kind == SECRET_PLAIN && hand_out_adhoc(auth, payload, n))
        return AUTH_STEP_WORK;
    if (start_scram(auth))
        return fail(auth, sasl_failed, "cryptography library failed");
    if (!scram_server_choose(&auth->scram, mechanism) || (auth->binding_required && !auth->scram.plus))
        return fail(auth, wrong_mechanism, NULL);
    auth->state = STATE_SCRAM;
    if (size == NO_INITIAL_RESPONSE) {
        pw_msg_end(out, begin_request(out, AUTH_SASL_CONTINUE)); /* an empty challenge: RFC 4422, section 5 */
        return AUTH_STEP_CONTINUE;
    }
    return scram_step(auth, data, data_len, out);
}

static AuthStep on_sasl(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out)
{
    if (auth->state == STATE_ASKED)
        return on_sasl_initial(auth, payload, n, out);
    return scram_step(auth, payload, n, out);
}

/* ---- results ---- */

AuthStep client_auth_message(ClientAuth *auth, const uint8_t *payload, size_t n, PwBuf *out)
{
    switch (auth->state) {
    case STATE_ASKED:
    case STATE_SCRAM:
        if (n > PW_AUTH_MAX)
            return fail(auth, bad_packet, "message too long");
        return exchanges[auth->exchange].on_message(auth, payload, n, out);
    case STATE_NEW:
    case STATE_OK:
    case STATE_WORK:
        return fail(auth, bad_packet, "password message out of order");
    case STATE_FAILED:
        break;
    }
    return AUTH_STEP_FAILED; /* the first reason stays */
}

const char *client_auth_error(const ClientAuth *auth)
{
    return auth->error ? auth->error : "";
}

const char *client_auth_detail(const ClientAuth *auth)
{
    return auth->detail;
}

const ScramKeys *client_auth_scram_keys(const ClientAuth *auth)
{
    return auth->state == STATE_OK && auth->has_keys ? &auth->keys : NULL;
}

const char *client_auth_password(const ClientAuth *auth)
{
    return auth->state == STATE_OK || auth->state == STATE_WORK ? auth->password : NULL;
}
