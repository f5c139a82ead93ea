/* SPDX-License-Identifier: ISC */
/* The client here is scram_client, or written by hand: test_scram.c holds that against RFC 7677. */
#include "auth_fixture.h"
#include "pooler/auth/client_auth.h"
#include "pooler/auth/md5.h"
#include "pooler/auth/scram_client.h"

#include <stdlib.h>

/* As client_auth_message; a derivation that is handed out is run and given back. */
static AuthStep message(ClientAuth *auth, const uint8_t *bytes, size_t n, PwBuf *answer)
{
    AuthStep step = client_auth_message(auth, bytes, n, answer);
    if (step == AUTH_STEP_WORK) {
        ScramWork work;
        works++;
        assert_true(defer);
        assert_int_equal(pw_buf_unread(answer), 0);
        client_auth_take_work(auth, &work);
        scram_work_run(&work);
        step = client_auth_resume(auth, &work, answer);
        assert_int_not_equal(step, AUTH_STEP_WORK);
        scram_work_finish(&work);
    }
    return step;
}

static ClientAuth *login(ClientAuthMethod method, const char *user, const Secret *secret)
{
    ClientAuth *auth = NULL;
    ClientAuthSpec spec = {.method = method, .user = user, .secret = secret, .scram_iterations = 64, .cache = cache,
                           .defer_work = defer};
    assert_int_equal(client_auth_create(&spec, &auth), PW_OK);
    return auth;
}

static uint32_t take_request(size_t *ret_n)
{
    *ret_n = take_message(&out, 'R', payload, sizeof(payload));
    return pw_be32(payload);
}

/* `answer` to the request that start() made: a PasswordMessage's text. */
static AuthStep answer_with(ClientAuth *auth, const char *answer, size_t n)
{
    AuthStep step = message(auth, (const uint8_t *)answer, n, &out);
    assert_int_equal(pw_buf_unread(&out), 0);
    return step;
}

static void check_failed(ClientAuth *auth, const char *error)
{
    assert_string_equal(client_auth_error(auth), error);
    assert_null(client_auth_scram_keys(auth));
    assert_int_equal(message(auth, (const uint8_t *)"x", 2, &out), AUTH_STEP_FAILED);
    assert_string_equal(client_auth_error(auth), error); /* the first reason stays */
    client_auth_destroy(auth);
}

/* PLUS is offered with the hash of a certificate only; when it is a must nothing else is. */
static void channel_binding_is_offered(void **state)
{
    (void)state;
    static const uint8_t hash[32] = "hash";
    static const struct {
        bool tls, required;
        const char *offer;
        size_t n;
    } rows[] = {
        {false, false, "SCRAM-SHA-256\0", sizeof("SCRAM-SHA-256\0")},
        {true, false, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", sizeof("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0")},
        {true, true, "SCRAM-SHA-256-PLUS\0", sizeof("SCRAM-SHA-256-PLUS\0")},
        {false, true, NULL, 0},
    };
    Secret secret = make_secret("secret");
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        ClientAuth *auth = NULL;
        size_t n;
        ClientAuthSpec spec = {.method = CLIENT_AUTH_SCRAM, .user = "u", .secret = &secret, .cache = cache, .endpoint_hash = hash,
                               .endpoint_hash_len = rows[i].tls ? 32 : 0, .binding_required = rows[i].required};
        assert_int_equal(client_auth_create(&spec, &auth), PW_OK);
        AuthStep step = client_auth_start(auth, &out);
        if (!rows[i].offer) {
            assert_int_equal(step, AUTH_STEP_FAILED);
            check_failed(auth, "SASL authentication failed");
            continue;
        }
        assert_int_equal(take_request(&n), 10);
        assert_int_equal(n, rows[i].n + 4);
        assert_memory_equal(payload + 4, rows[i].offer, rows[i].n);
        if (rows[i].required) {
            static const char plain[] = "SCRAM-SHA-256\0\377\377\377\377";
            assert_int_equal(client_auth_message(auth, (const uint8_t *)plain, sizeof(plain) - 1, &out), AUTH_STEP_FAILED);
            check_failed(auth, "client selected an invalid SASL authentication mechanism");
            continue;
        }
        client_auth_destroy(auth);
    }
    secret_finish(&secret);
}

static void trust_and_any(void **state)
{
    (void)state;
    Secret empty = make_secret("");
    ClientAuth *auth = login(CLIENT_AUTH_TRUST, "u", &empty);
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_OK);
    assert_int_equal(answer_with(auth, "x", 2), AUTH_STEP_FAILED); /* nothing was asked */
    client_auth_destroy(auth);
    auth = login(CLIENT_AUTH_TRUST, "u", NULL);
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_FAILED);
    check_failed(auth, "\"trust\" authentication failed");
    auth = login(CLIENT_AUTH_ANY, "u", NULL);
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_OK);
    client_auth_destroy(auth);
    assert_int_equal(pw_buf_unread(&out), 0);
    client_auth_destroy(NULL);
    secret_finish(&empty);
}

static AuthStep plain(const char *stored, const char *password, size_t n, const char *error)
{
    Secret secret = make_secret(stored ? stored : "");
    ClientAuth *auth = login(CLIENT_AUTH_PLAIN, "d", stored ? &secret : NULL);
    size_t len;
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
    assert_int_equal(take_request(&len), 3);
    assert_int_equal(len, 4);
    AuthStep step = answer_with(auth, password, n);
    if (step == AUTH_STEP_FAILED) {
        assert_non_null(error);
        check_failed(auth, error);
    } else {
        assert_null(error);
        client_auth_destroy(auth);
    }
    secret_finish(&secret);
    return step;
}

static void plain_logins(void **state)
{
    (void)state;
    static const char wrong[] = "password authentication failed", packet[] = "invalid password packet";
    static const char empty[] = "empty password returned by client";
    assert_int_equal(plain("secret", "secret", 7, NULL), AUTH_STEP_OK);
    assert_int_equal(plain(PG_MD5_SECRET, "secret", 7, NULL), AUTH_STEP_OK);
    assert_int_equal(plain(PG_SCRAM_SECRET, "secret", 7, NULL), AUTH_STEP_OK);
    assert_int_equal(plain("secret", "sEcret", 7, wrong), AUTH_STEP_FAILED);
    assert_int_equal(plain(PG_MD5_SECRET, "sEcret", 7, wrong), AUTH_STEP_FAILED);
    assert_int_equal(plain(PG_SCRAM_SECRET, "sEcret", 7, wrong), AUTH_STEP_FAILED);
    assert_int_equal(plain(NULL, "secret", 7, wrong), AUTH_STEP_FAILED); /* unknown user */
    assert_int_equal(plain("", "secret", 7, wrong), AUTH_STEP_FAILED);   /* no password stored */
    assert_int_equal(plain("secret", "", 1, empty), AUTH_STEP_FAILED);
    assert_int_equal(plain(NULL, "", 1, empty), AUTH_STEP_FAILED);
    assert_int_equal(plain("", "", 1, empty), AUTH_STEP_FAILED);
    assert_int_equal(plain("secret", "", 0, packet), AUTH_STEP_FAILED);          /* not even a NUL */
    assert_int_equal(plain("secret", "secret", 6, packet), AUTH_STEP_FAILED);    /* its NUL is missing */
    assert_int_equal(plain("secret", "secret\0x", 9, packet), AUTH_STEP_FAILED); /* a second text behind it */
    assert_int_equal(plain("secret", "secret\0", 8, packet), AUTH_STEP_FAILED);
}

/* The time of a refusal says nothing about what is stored, nor whether anything is: see hand_out_mock. */
static void a_wrong_password_costs_one_derivation(void **state)
{
    (void)state;
    static const char wrong[] = "password authentication failed";
    static const char *const stored[] = {"secret", PG_MD5_SECRET, PG_SCRAM_SECRET, "", NULL};
    bool before = defer;
    defer = true;
    for (size_t i = 0; i < PW_ARRAY_LEN(stored); i++)
        for (int again = 0; again < 2; again++) {
            works = 0;
            assert_int_equal(plain(stored[i], "wrong", 6, wrong), AUTH_STEP_FAILED);
            assert_int_equal(works, 1);
        }
    defer = before;
}

static void size_limit(void **state)
{
    (void)state;
    char *big = malloc(PW_AUTH_MAX + 1);
    memset(big, 'x', PW_AUTH_MAX + 1);
    big[PW_AUTH_MAX] = '\0';
    assert_int_equal(plain("secret", big, PW_AUTH_MAX + 1, "invalid password packet"), AUTH_STEP_FAILED);
    big[PW_AUTH_MAX - 1] = '\0';
    assert_int_equal(plain("secret", big, PW_AUTH_MAX, "password authentication failed"), AUTH_STEP_FAILED);
    free(big);
    char user[AUTH_USER_MAX + 2];
    memset(user, 'u', sizeof(user));
    user[AUTH_USER_MAX + 1] = '\0';
    ClientAuth *auth = NULL;
    ClientAuthSpec spec = {.method = CLIENT_AUTH_ANY, .user = user, .cache = cache};
    assert_int_equal(client_auth_create(&spec, &auth), PW_ERR_TOO_LARGE);
    assert_null(auth);
    user[AUTH_USER_MAX] = '\0';
    assert_int_equal(client_auth_create(&spec, &auth), PW_OK);
    client_auth_destroy(auth);
}

static void md5_logins(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *password;
        AuthStep want;
    } cases[] = {
        {"secret", "secret", AUTH_STEP_OK},      {PG_MD5_SECRET, "secret", AUTH_STEP_OK},
        {"secret", "sEcret", AUTH_STEP_FAILED},  {PG_MD5_SECRET, "sEcret", AUTH_STEP_FAILED},
        {NULL, "secret", AUTH_STEP_FAILED},      {"", "secret", AUTH_STEP_FAILED},
    };
    uint8_t salts[PW_ARRAY_LEN(cases)][4];
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        Secret secret = make_secret(cases[i].stored ? cases[i].stored : "");
        Secret typed = make_secret(cases[i].password);
        ClientAuth *auth = login(CLIENT_AUTH_MD5, "d", cases[i].stored ? &secret : NULL);
        size_t n;
        char answer[MD5_SECRET_LEN + 1];
        assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
        assert_int_equal(take_request(&n), 5);
        assert_int_equal(n, 8);
        memcpy(salts[i], payload + 4, 4);
        assert_int_equal(md5_response(&typed, "d", payload + 4, answer), PW_OK);
        assert_int_equal(answer_with(auth, answer, sizeof(answer)), cases[i].want);
        if (cases[i].want == AUTH_STEP_FAILED)
            check_failed(auth, "password authentication failed");
        else
            client_auth_destroy(auth);
        secret_finish(&secret);
        secret_finish(&typed);
    }
    int same = 0;
    for (size_t i = 1; i < PW_ARRAY_LEN(cases); i++)
        same += memcmp(salts[0], salts[i], 4) == 0;
    assert_true(same < 2); /* a new salt for each login */
}

static void md5_empty_answer(void **state)
{
    (void)state;
    Secret secret = make_secret("secret");
    size_t n;
    ClientAuth *auth = login(CLIENT_AUTH_MD5, "d", &secret);
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
    take_request(&n);
    assert_int_equal(answer_with(auth, "", 1), AUTH_STEP_FAILED);
    check_failed(auth, "empty password returned by client");
    secret_finish(&secret);
}

/* ---- SCRAM ---- */

static void initial_response(PwBuf *msg, const char *mechanism, uint32_t size, const void *data, size_t n)
{
    msg->len = 0;
    pw_buf_append_cstr(msg, mechanism);
    pw_buf_append_be32(msg, size);
    pw_buf_append(msg, data, n);
}

static void check_mechanisms(size_t n)
{
    assert_int_equal(n, 4 + sizeof("SCRAM-SHA-256") + 1);
    assert_memory_equal(payload + 4, "SCRAM-SHA-256\0", n - 4);
}

/* What a client sees of a whole login: salt and count of server-first, and the outcome. */
typedef struct Seen {
    AuthStep step;
    char salt_and_count[128];
    size_t final_len;
    bool has_keys;
    ScramKeys keys;
    char error[64], detail[64];
} Seen;

static Seen scram_login(ClientAuthMethod method, const char *user, const char *stored, const char *password,
                        bool without_initial)
{
    Seen seen = {0};
    Secret secret = make_secret(stored ? stored : "");
    ClientAuth *auth = login(method, user, stored ? &secret : NULL);
    ScramClient c;
    PwBuf msg, data;
    size_t n;
    pw_buf_init(&msg);
    pw_buf_init(&data);
    assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
    assert_int_equal(take_request(&n), 10);
    check_mechanisms(n);
    scram_client_init(&c, &(ScramClientSpec){.owner = "client", .password = password, .cache = cache});
    assert_int_equal(scram_client_first(&c, &data), SCRAM_CONTINUE);
    if (without_initial) {
        initial_response(&msg, "SCRAM-SHA-256", UINT32_MAX, "", 0);
        assert_int_equal(message(auth, msg.data, msg.len, &out), AUTH_STEP_CONTINUE);
        assert_int_equal(take_request(&n), 11);
        assert_int_equal(n, 4); /* an empty challenge */
        assert_int_equal(message(auth, data.data, data.len, &out), AUTH_STEP_CONTINUE);
    } else {
        initial_response(&msg, "SCRAM-SHA-256", (uint32_t)data.len, data.data, data.len);
        assert_int_equal(message(auth, msg.data, msg.len, &out), AUTH_STEP_CONTINUE);
    }
    assert_int_equal(take_request(&n), 11);
    payload[n] = '\0';
    const char *salt = strstr((const char *)payload + 4, ",s=");
    assert_non_null(salt);
    assert_true(strlen(salt) < sizeof(seen.salt_and_count));
    strcpy(seen.salt_and_count, salt);
    data.len = 0;
    assert_int_equal(scram_client_message(&c, payload + 4, n - 4, &data), SCRAM_CONTINUE);
    seen.step = message(auth, data.data, data.len, &out);
    if (seen.step == AUTH_STEP_OK) {
        assert_int_equal(take_request(&n), 12);
        seen.final_len = n - 4;
        assert_int_equal(scram_client_message(&c, payload + 4, n - 4, &data), SCRAM_OK);
        if (client_auth_scram_keys(auth)) {
            seen.has_keys = true;
            seen.keys = *client_auth_scram_keys(auth);
        }
    } else {
        assert_int_equal(pw_buf_unread(&out), 0);
        strcpy(seen.error, client_auth_error(auth));
        strcpy(seen.detail, client_auth_detail(auth));
        assert_null(client_auth_scram_keys(auth));
    }
    pw_buf_finish(&msg);
    pw_buf_finish(&data);
    scram_client_finish(&c);
    client_auth_destroy(auth);
    secret_finish(&secret);
    return seen;
}

static void scram_logins(void **state)
{
    (void)state;
    static const struct {
        ClientAuthMethod method;
        const char *stored, *password;
        const char *detail; /* NULL: OK */
        bool keys;
    } cases[] = {
        {CLIENT_AUTH_SCRAM, PG_SCRAM_SECRET, "secret", NULL, true},
        {CLIENT_AUTH_MD5, PG_SCRAM_SECRET, "secret", NULL, true}, /* upgraded */
        {CLIENT_AUTH_SCRAM, PG_SCRAM_UNICODE, PG_SCRAM_UNICODE_PASSWORD, NULL, true},
        {CLIENT_AUTH_SCRAM, "secret", "secret", NULL, false}, /* nothing to pass through with */
        {CLIENT_AUTH_SCRAM, PG_SCRAM_SECRET, "sEcret", "wrong password", false},
        {CLIENT_AUTH_MD5, PG_SCRAM_SECRET, "sEcret", "wrong password", false},
        {CLIENT_AUTH_SCRAM, "secret", "sEcret", "wrong password", false},
        {CLIENT_AUTH_SCRAM, NULL, "secret", "no such user", false},
        {CLIENT_AUTH_SCRAM, "", "secret", "user has no password", false},
        {CLIENT_AUTH_SCRAM, "", "", "user has no password", false},
        {CLIENT_AUTH_SCRAM, PG_MD5_SECRET, "secret", "user has an md5 secret, which SCRAM cannot use", false},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        for (int without_initial = 0; without_initial < 2; without_initial++) {
            Seen seen = scram_login(cases[i].method, "d", cases[i].stored, cases[i].password, without_initial);
            assert_int_equal(seen.step, cases[i].detail ? AUTH_STEP_FAILED : AUTH_STEP_OK);
            if (cases[i].detail) {
                assert_string_equal(seen.error, "SASL authentication failed");
                assert_string_equal(seen.detail, cases[i].detail);
            }
            assert_int_equal(seen.has_keys, cases[i].keys);
        }
    }
}

static void keys_are_those_of_the_password(void **state)
{
    (void)state;
    Seen seen = scram_login(CLIENT_AUTH_SCRAM, "a", PG_SCRAM_SECRET, "secret", false);
    ScramKeys keys;
    const ScramVerifier *v = &seen.keys.verifier;
    assert_int_equal(scram_derive("secret", v->salt, v->salt_len, v->iterations, &keys), PW_OK);
    assert_memory_equal(seen.keys.client_key, keys.client_key, SCRAM_KEY_LEN);
    assert_true(scram_verifier_equal(v, &keys.verifier));
}

static void unknown_users_look_like_known_ones(void **state)
{
    (void)state;
    /* The salt stays the same over logins and says nothing about whether there is a secret. */
    Seen known = scram_login(CLIENT_AUTH_SCRAM, "alice", "secret", "x", false);
    Seen again = scram_login(CLIENT_AUTH_SCRAM, "alice", "secret", "secret", false);
    Seen nobody = scram_login(CLIENT_AUTH_SCRAM, "alice", NULL, "x", false);
    Seen other = scram_login(CLIENT_AUTH_SCRAM, "bob", NULL, "x", false);
    assert_string_equal(known.salt_and_count, again.salt_and_count);
    assert_string_equal(known.salt_and_count, nobody.salt_and_count);
    assert_string_not_equal(known.salt_and_count, other.salt_and_count);
    assert_int_equal(strlen(known.salt_and_count), strlen(other.salt_and_count));
    assert_non_null(strstr(other.salt_and_count, ",i=64"));
    assert_string_equal(known.error, nobody.error);
}

static void adhoc_verifier_is_cached(void **state)
{
    (void)state;
    ScramCacheStats before, after;
    Secret secret = make_secret("secret");
    scram_login(CLIENT_AUTH_SCRAM, "d", "secret", "secret", false);
    scram_cache_stats(cache, &before);
    scram_login(CLIENT_AUTH_SCRAM, "d", "secret", "secret", false);
    scram_cache_stats(cache, &after);
    assert_int_equal(after.misses, before.misses);
    assert_true(after.hits > before.hits);
    secret_finish(&secret);
}

static void malformed_initial_responses(void **state)
{
    (void)state;
    static const char first[] = "n,,n=,r=abc";
    const uint32_t n = sizeof(first) - 1;
    static const char sasl[] = "SASL authentication failed";
    const struct {
        const char *mechanism;
        uint32_t size;
        size_t n;
        const char *error;
    } cases[] = {
        {"SCRAM-SHA-256", n + 1, n, sasl},      {"SCRAM-SHA-256", n - 1, n, sasl},
        {"SCRAM-SHA-256", 0, n, sasl},          {"SCRAM-SHA-256", 0, 0, sasl},
        {"SCRAM-SHA-256", UINT32_MAX, n, sasl}, {"SCRAM-SHA-256", 0x7FFFFFFF, n, sasl},
        {"SCRAM-SHA-256", 0x80000000u, n, sasl},
        {"SCRAM-SHA-256-PLUS", n, n, "client selected an invalid SASL authentication mechanism"},
        {"SCRAM-SHA-1", n, n, "client selected an invalid SASL authentication mechanism"},
        {"", n, n, "client selected an invalid SASL authentication mechanism"},
    };
    Secret secret = make_secret(PG_SCRAM_SECRET);
    PwBuf msg;
    size_t len;
    pw_buf_init(&msg);
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        ClientAuth *auth = login(CLIENT_AUTH_SCRAM, "a", &secret);
        assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
        take_request(&len);
        initial_response(&msg, cases[i].mechanism, cases[i].size, first, cases[i].n);
        assert_int_equal(answer_with(auth, (const char *)msg.data, msg.len), AUTH_STEP_FAILED);
        check_failed(auth, cases[i].error);
    }
    /* A plain PasswordMessage, and every cut of a right one. */
    initial_response(&msg, "SCRAM-SHA-256", n, first, n);
    for (size_t cut = 0; cut < msg.len; cut++) {
        ClientAuth *auth = login(CLIENT_AUTH_SCRAM, "a", &secret);
        assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
        take_request(&len);
        assert_int_equal(answer_with(auth, (const char *)msg.data, cut), AUTH_STEP_FAILED);
        check_failed(auth, sasl);
    }
    pw_buf_finish(&msg);
    secret_finish(&secret);
}

static void work_can_fail_or_be_left_alone(void **state)
{
    (void)state;
    Secret secret = make_secret(PG_SCRAM_SECRET);
    ScramWork work;
    defer = true;
    for (int i = 0; i < 3; i++) {
        ClientAuth *auth = login(CLIENT_AUTH_PLAIN, "a", &secret);
        size_t n;
        assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
        take_request(&n);
        assert_int_equal(client_auth_message(auth, (const uint8_t *)"secret", 7, &out), AUTH_STEP_WORK);
        if (i == 0) { /* the client goes before anybody took the work */
            client_auth_destroy(auth);
            continue;
        }
        client_auth_take_work(auth, &work);
        if (i == 1) { /* a message out of turn ends the login, and the outcome comes too late */
            assert_int_equal(client_auth_message(auth, (const uint8_t *)"secret", 7, &out), AUTH_STEP_FAILED);
            scram_work_run(&work);
            assert_int_equal(client_auth_resume(auth, &work, &out), AUTH_STEP_FAILED);
            check_failed(auth, "invalid password packet");
        } else {
            work.err = PW_ERR_IO;
            assert_int_equal(client_auth_resume(auth, &work, &out), AUTH_STEP_FAILED);
            check_failed(auth, "password authentication failed");
        }
        scram_work_finish(&work);
    }
    defer = false;
    secret_finish(&secret);
}

static void a_proved_password_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *stored;
        bool told;
    } rows[] = {{PG_SCRAM_SECRET, true}, {"secret", false}};
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        Secret secret = make_secret(rows[i].stored);
        ClientAuth *auth = login(CLIENT_AUTH_PLAIN, "a", &secret);
        size_t n;
        assert_int_equal(client_auth_start(auth, &out), AUTH_STEP_CONTINUE);
        take_request(&n);
        assert_null(client_auth_password(auth));
        assert_int_equal(answer_with(auth, "secret", 7), AUTH_STEP_OK);
        assert_int_equal(client_auth_password(auth) != NULL, rows[i].told);
        if (rows[i].told)
            assert_string_equal(client_auth_password(auth), "secret");
        client_auth_destroy(auth);
        secret_finish(&secret);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(channel_binding_is_offered),
        T(trust_and_any),
        T(plain_logins),
        T(a_wrong_password_costs_one_derivation),
        T(size_limit),
        T(md5_logins),
        T(md5_empty_answer),
        T(scram_logins),
        T(keys_are_those_of_the_password),
        T(unknown_users_look_like_known_ones),
        T(adhoc_verifier_is_cached),
        T(malformed_initial_responses),
        T(work_can_fail_or_be_left_alone),
        T(a_proved_password_is_told),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    defer = true;
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed || works == 0;
}
