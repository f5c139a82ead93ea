/* SPDX-License-Identifier: ISC */
/* The server here is client_auth, or single requests; check_server_auth.py does it with PostgreSQL. */
#include "auth_fixture.h"
#include "pooler/auth/client_auth.h"
#include "pooler/auth/server_auth.h"

#include <stdlib.h>

/* As server_auth_message; a derivation that is handed out is run and given back. */
static AuthStep message(ServerAuth *auth, const uint8_t *bytes, size_t n, PwBuf *answer)
{
    AuthStep step = server_auth_message(auth, bytes, n, answer);
    if (step == AUTH_STEP_WORK) {
        ScramWork work;
        works++;
        assert_true(defer);
        assert_int_equal(pw_buf_unread(answer), 0);
        server_auth_take_work(auth, &work);
        scram_work_run(&work);
        step = server_auth_resume(auth, &work, answer);
        scram_work_finish(&work);
    }
    return step;
}

static ServerAuth *login(const char *user, const Secret *secret, const ScramKeys *keys)
{
    ServerAuth *auth = NULL;
    ServerAuthSpec spec = {.user = user, .secret = secret, .scram_keys = keys, .cache = cache, .defer_work = defer};
    assert_int_equal(server_auth_create(&spec, &auth), PW_OK);
    return auth;
}

static AuthStep ask(ServerAuth *auth, const void *request, size_t n)
{
    return message(auth, request, n, &out);
}

#define ASK(auth, literal) ask(auth, literal, sizeof(literal) - 1)
#define R_OK "\0\0\0\0"
#define R_PLAIN "\0\0\0\3"
#define R_MD5 "\0\0\0\5abcd"
#define R_SASL "\0\0\0\12SCRAM-SHA-256\0\0"
#define R_CONTINUE "\0\0\0\13"
#define R_FINAL "\0\0\0\14"

static void check_failed(ServerAuth *auth, const char *error)
{
    assert_string_equal(server_auth_error(auth), error);
    assert_int_equal(pw_buf_unread(&out), 0);
    assert_int_equal(ASK(auth, R_OK), AUTH_STEP_FAILED);
    assert_string_equal(server_auth_error(auth), error);
    server_auth_destroy(auth);
}

/* With TLS the offer of PLUS is taken; without the hash of a certificate, or without the offer, it is not. */
static void channel_binding(void **state)
{
    (void)state;
    static const char both[] = "\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    static const uint8_t hash[32] = "hash";
    static const struct {
        bool tls, required;
        const char *request;
        size_t n;
        const char *mechanism, *gs2; /* mechanism NULL: refused */
    } rows[] = {
        {true, false, both, sizeof(both), "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"},
        {true, false, R_SASL, sizeof(R_SASL) - 1, "SCRAM-SHA-256", "y,,"},
        {false, false, both, sizeof(both), "SCRAM-SHA-256", "n,,"},
        {true, true, both, sizeof(both), "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"},
        {true, true, R_SASL, sizeof(R_SASL) - 1, NULL, NULL},
        {true, true, R_PLAIN, sizeof(R_PLAIN) - 1, NULL, NULL},
        {true, true, R_MD5, sizeof(R_MD5) - 1, NULL, NULL},
        {true, true, R_OK, sizeof(R_OK) - 1, NULL, NULL},
        {false, true, both, sizeof(both), NULL, NULL},
    };
    Secret secret = make_secret("secret");
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        ServerAuth *auth = NULL;
        ServerAuthSpec spec = {.user = "u", .secret = &secret, .cache = cache, .endpoint_hash = hash,
                               .endpoint_hash_len = rows[i].tls ? 32 : 0, .binding_required = rows[i].required};
        assert_int_equal(server_auth_create(&spec, &auth), PW_OK);
        AuthStep step = ask(auth, rows[i].request, rows[i].n);
        if (!rows[i].mechanism) {
            assert_int_equal(step, AUTH_STEP_FAILED);
            check_failed(auth, "channel binding is required, but the server does not offer it");
            continue;
        }
        assert_int_equal(step, AUTH_STEP_CONTINUE);
        size_t n = take_message(&out, 'p', payload, sizeof(payload)), name = strlen(rows[i].mechanism) + 1;
        assert_true(n > name + 4 + strlen(rows[i].gs2));
        assert_memory_equal(payload, rows[i].mechanism, name);
        assert_memory_equal(payload + name + 4, rows[i].gs2, strlen(rows[i].gs2));
        server_auth_destroy(auth);
    }
    secret_finish(&secret);
}

/* The first request of a server, and what the secret lets us answer; NULL: an answer was made. */
static void which_secret_serves_what(void **state)
{
    (void)state;
    static const char wrong[] = "wrong password type", none[] = "no password to log in with";
    static const struct {
        const char *secret, *plain, *md5, *sasl;
    } cases[] = {
        {"secret", NULL, NULL, NULL},
        {PG_MD5_SECRET, wrong, NULL, wrong},
        {PG_SCRAM_SECRET, wrong, wrong, wrong}, /* without a client's keys */
        {"", none, none, none},
        {NULL, none, none, none},
    };
    static const struct {
        const char *bytes;
        size_t n;
    } requests[] = {{R_PLAIN, 4}, {R_MD5, 8}, {R_SASL, sizeof(R_SASL) - 1}};
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        const char *want[] = {cases[i].plain, cases[i].md5, cases[i].sasl};
        Secret secret = make_secret(cases[i].secret ? cases[i].secret : "");
        for (size_t r = 0; r < PW_ARRAY_LEN(requests); r++) {
            ServerAuth *auth = login("d", cases[i].secret ? &secret : NULL, NULL);
            AuthStep step = ask(auth, requests[r].bytes, requests[r].n);
            assert_int_equal(step, want[r] ? AUTH_STEP_FAILED : AUTH_STEP_CONTINUE);
            if (want[r]) {
                check_failed(auth, want[r]);
            } else {
                take_message(&out, 'p', payload, sizeof(payload));
                server_auth_destroy(auth);
            }
        }
        ServerAuth *auth = login("d", cases[i].secret ? &secret : NULL, NULL); /* trust */
        assert_int_equal(ASK(auth, R_OK), AUTH_STEP_OK);
        assert_int_equal(ASK(auth, R_OK), AUTH_STEP_FAILED); /* once is enough */
        server_auth_destroy(auth);
        secret_finish(&secret);
    }
    server_auth_destroy(NULL);
}

static void cleartext_answer(void **state)
{
    (void)state;
    Secret secret = make_secret("secret");
    ServerAuth *auth = login("d", &secret, NULL);
    assert_int_equal(ASK(auth, R_PLAIN), AUTH_STEP_CONTINUE);
    assert_false(server_auth_is_done(auth));
    assert_int_equal(take_message(&out, 'p', payload, sizeof(payload)), 7);
    assert_string_equal((const char *)payload, "secret");
    assert_int_equal(ASK(auth, R_OK), AUTH_STEP_OK);
    assert_true(server_auth_is_done(auth));
    server_auth_destroy(auth);
    secret_finish(&secret);
}

static void bad_requests(void **state)
{
    (void)state;
    static const char malformed[] = "malformed authentication request", unexpected[] = "unexpected authentication request";
    static const char no_mechanism[] = "none of the server's SASL authentication mechanisms are supported";
    static const struct {
        const char *bytes;
        size_t n;
        const char *error;
    } cases[] = {
        {"", 0, malformed},
        {"\0\0\0", 3, malformed},
        {R_OK "x", 5, malformed},
        {R_PLAIN "x", 5, malformed},
        {"\0\0\0\5abc", 7, malformed},
        {"\0\0\0\5abcde", 9, malformed},
        {"\0\0\0\12SCRAM-SHA-256", 17, malformed},
        {"\0\0\0\12", 4, no_mechanism},
        {"\0\0\0\12\0", 5, no_mechanism},
        {"\0\0\0\12SCRAM-SHA-1\0SCRAM-SHA-256-PLUS\0\0", 4 + 12 + 19 + 1, no_mechanism},
        {R_CONTINUE "r=x", 7, unexpected},
        {R_FINAL "v=x", 7, unexpected},
        {"\0\0\0\2", 4, "unsupported authentication method of the server: Kerberos V5"},
        {"\0\0\0\6", 4, "unsupported authentication method of the server: SCM credentials"},
        {"\0\0\0\7", 4, "unsupported authentication method of the server: GSSAPI"},
        {"\0\0\0\10", 4, "unsupported authentication method of the server: GSSAPI"},
        {"\0\0\0\11", 4, "unsupported authentication method of the server: SSPI"},
        {"\0\0\0\1", 4, "unknown authentication request 1 of the server"},
        {"\xFF\xFF\xFF\xFF", 4, "unknown authentication request 4294967295 of the server"},
    };
    Secret secret = make_secret("secret");
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        ServerAuth *auth = login("d", &secret, NULL);
        assert_int_equal(ask(auth, cases[i].bytes, cases[i].n), AUTH_STEP_FAILED);
        check_failed(auth, cases[i].error);
    }
    char *big = calloc(1, PW_AUTH_MAX + 1);
    ServerAuth *auth = login("d", &secret, NULL);
    assert_int_equal(ask(auth, big, PW_AUTH_MAX + 1), AUTH_STEP_FAILED);
    check_failed(auth, malformed);
    free(big);
    secret_finish(&secret);
}

static void order_of_requests(void **state)
{
    (void)state;
    static const char unexpected[] = "unexpected authentication request";
    Secret secret = make_secret("secret");
    ServerAuth *auth = login("d", &secret, NULL);
    assert_int_equal(ASK(auth, R_PLAIN), AUTH_STEP_CONTINUE);
    take_message(&out, 'p', payload, sizeof(payload));
    assert_int_equal(ASK(auth, R_MD5), AUTH_STEP_FAILED); /* one question only */
    check_failed(auth, unexpected);

    auth = login("d", &secret, NULL);
    assert_int_equal(ASK(auth, R_SASL), AUTH_STEP_CONTINUE);
    take_message(&out, 'p', payload, sizeof(payload));
    assert_int_equal(ASK(auth, R_OK), AUTH_STEP_FAILED); /* the server has not proved itself */
    check_failed(auth, unexpected);

    auth = login("d", &secret, NULL);
    assert_int_equal(ASK(auth, R_SASL), AUTH_STEP_CONTINUE);
    take_message(&out, 'p', payload, sizeof(payload));
    assert_int_equal(ASK(auth, R_PLAIN), AUTH_STEP_FAILED); /* no falling back to the password itself */
    check_failed(auth, unexpected);

    auth = login("d", &secret, NULL);
    assert_int_equal(ASK(auth, R_SASL), AUTH_STEP_CONTINUE);
    take_message(&out, 'p', payload, sizeof(payload));
    assert_int_equal(ASK(auth, R_FINAL "v=AAAA"), AUTH_STEP_FAILED); /* final before its challenge */
    check_failed(auth, unexpected);
    secret_finish(&secret);
}

/* A whole login against client_auth; `spoil` changes a byte of the server's last message. */
static AuthStep both(ServerAuth *auth, ClientAuthMethod method, const char *user, const char *stored, bool spoil,
                     ScramKeys *ret_keys)
{
    Secret secret = make_secret(stored);
    ClientAuth *server = NULL;
    ClientAuthSpec spec = {.method = method, .user = user, .secret = &secret, .cache = cache};
    assert_int_equal(client_auth_create(&spec, &server), PW_OK);
    AuthStep theirs = client_auth_start(server, &out), ours = AUTH_STEP_CONTINUE;
    while (ours == AUTH_STEP_CONTINUE && theirs != AUTH_STEP_FAILED) {
        if (pw_buf_unread(&out)) {
            size_t n = take_message(&out, 'R', payload, sizeof(payload));
            if (spoil && payload[3] == 12)
                payload[6] = payload[6] == 'A' ? 'B' : 'A';
            ours = message(auth, payload, n, &out);
        } else {
            assert_int_equal(theirs, AUTH_STEP_OK);
            ours = ASK(auth, R_OK);
        }
        if (ours == AUTH_STEP_CONTINUE && theirs == AUTH_STEP_CONTINUE) {
            size_t n = take_message(&out, 'p', payload, sizeof(payload));
            theirs = client_auth_message(server, payload, n, &out);
        }
    }
    if (theirs == AUTH_STEP_OK && ret_keys)
        *ret_keys = *client_auth_scram_keys(server);
    pw_buf_consume(&out, pw_buf_unread(&out));
    client_auth_destroy(server);
    secret_finish(&secret);
    return theirs == AUTH_STEP_FAILED ? AUTH_STEP_FAILED : ours;
}

static void whole_logins(void **state)
{
    (void)state;
    static const struct {
        ClientAuthMethod method;
        const char *theirs, *ours;
        AuthStep want;
    } cases[] = {
        {CLIENT_AUTH_PLAIN, PG_SCRAM_SECRET, "secret", AUTH_STEP_OK},
        {CLIENT_AUTH_PLAIN, PG_SCRAM_SECRET, "secre", AUTH_STEP_FAILED},
        {CLIENT_AUTH_MD5, PG_MD5_SECRET, "secret", AUTH_STEP_OK},
        {CLIENT_AUTH_MD5, PG_MD5_SECRET, PG_MD5_SECRET, AUTH_STEP_OK},
        {CLIENT_AUTH_MD5, "secret", PG_MD5_SECRET, AUTH_STEP_OK},
        {CLIENT_AUTH_MD5, PG_MD5_SECRET, "Secret", AUTH_STEP_FAILED},
        {CLIENT_AUTH_SCRAM, PG_SCRAM_SECRET, "secret", AUTH_STEP_OK},
        {CLIENT_AUTH_SCRAM, PG_SCRAM_SECRET, "Secret", AUTH_STEP_FAILED},
        {CLIENT_AUTH_SCRAM, PG_SCRAM_UNICODE, PG_SCRAM_UNICODE_PASSWORD, AUTH_STEP_OK},
        {CLIENT_AUTH_TRUST, "", "", AUTH_STEP_OK},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        Secret secret = make_secret(cases[i].ours);
        ServerAuth *auth = login("d", &secret, NULL);
        assert_int_equal(both(auth, cases[i].method, "d", cases[i].theirs, false, NULL), cases[i].want);
        server_auth_destroy(auth);
        secret_finish(&secret);
    }
}

static void pass_through(void **state)
{
    (void)state;
    /* A client logs in at the pooler ... */
    Secret typed = make_secret("secret"), stored = make_secret(PG_SCRAM_SECRET);
    Secret other = make_secret(PG_SCRAM_UNICODE);
    ScramKeys keys;
    ServerAuth *auth = login("a", &typed, NULL);
    assert_int_equal(both(auth, CLIENT_AUTH_SCRAM, "a", PG_SCRAM_SECRET, false, &keys), AUTH_STEP_OK);
    server_auth_destroy(auth);
    /* ... and its key opens the server, nothing else being known. */
    ScramCacheStats before, after;
    scram_cache_stats(cache, &before);
    auth = login("a", &stored, &keys);
    assert_int_equal(both(auth, CLIENT_AUTH_SCRAM, "a", PG_SCRAM_SECRET, false, NULL), AUTH_STEP_OK);
    server_auth_destroy(auth);
    scram_cache_stats(cache, &after);
    assert_int_equal(after.misses, before.misses);
    /* The secret was changed here meanwhile: the keys belong to the old one. */
    auth = login("a", &other, &keys);
    assert_int_equal(ASK(auth, R_SASL), AUTH_STEP_FAILED);
    check_failed(auth, "wrong password type");
    /* Changed at the server. */
    auth = login("a", &stored, &keys);
    assert_int_equal(both(auth, CLIENT_AUTH_SCRAM, "a", PG_SCRAM_UNICODE, false, NULL), AUTH_STEP_FAILED);
    check_failed(auth, "SCRAM secret does not match the server's: another salt (ours has 4096 iterations, the server's 4096)");
    /* Keys do not help where the server wants the password. */
    auth = login("a", &stored, &keys);
    assert_int_equal(ASK(auth, R_PLAIN), AUTH_STEP_FAILED);
    check_failed(auth, "wrong password type");
    secret_finish(&typed);
    secret_finish(&stored);
    secret_finish(&other);
}

static void server_must_prove_itself(void **state)
{
    (void)state;
    Secret secret = make_secret("secret");
    ServerAuth *auth = login("a", &secret, NULL);
    assert_int_equal(both(auth, CLIENT_AUTH_SCRAM, "a", PG_SCRAM_SECRET, true, NULL), AUTH_STEP_FAILED);
    check_failed(auth, "invalid server signature");
    secret_finish(&secret);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(channel_binding),
        T(which_secret_serves_what), T(cleartext_answer), T(bad_requests), T(order_of_requests),
        T(whole_logins),             T(pass_through),     T(server_must_prove_itself),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    defer = true;
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed || works == 0;
}
