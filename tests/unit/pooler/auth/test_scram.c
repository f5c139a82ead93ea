/* SPDX-License-Identifier: ISC */
/* Both sides of SCRAM: RFC 7677's exchange, each against the other, and each against malformed messages. */
#include "auth_test.h"
#include "pooler/auth/base64.h"
#include "pooler/auth/scram_client.h"
#include "pooler/auth/scram_server.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 7677, section 3: user "user", password "pencil" */
#define RFC_SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define RFC_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CLIENT_FIRST "n,,n=user,r=" RFC_CLIENT_NONCE
#define RFC_NONCE "r=" RFC_CLIENT_NONCE RFC_SERVER_NONCE
#define RFC_SERVER_FIRST RFC_NONCE ",s=" RFC_SALT ",i=4096"
#define RFC_PROOF "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_CLIENT_FINAL "c=biws," RFC_NONCE "," RFC_PROOF
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static ScramKeys rfc_keys;

static int derive_rfc_keys(void **state)
{
    (void)state;
    uint8_t salt[16];
    size_t n;
    if (base64_decode(RFC_SALT, strlen(RFC_SALT), salt, sizeof(salt), &n))
        return -1;
    return scram_derive("pencil", salt, n, 4096, &rfc_keys) == PW_OK ? 0 : -1;
}

static ScramServer rfc_server(void)
{
    ScramServer s;
    scram_server_init(&s, &(ScramServerSpec){.verifier = &rfc_keys.verifier, .nonce = RFC_SERVER_NONCE});
    assert_true(scram_server_choose(&s, SCRAM_MECHANISM));
    return s;
}

/* One step; the answer must be `want` (NULL: none may be made). */
static ScramStep server_step(ScramServer *s, const char *in, const char *want)
{
    PwBuf out;
    pw_buf_init(&out);
    ScramStep step = scram_server_message(s, (const uint8_t *)in, strlen(in), &out);
    assert_int_equal(out.len, want ? strlen(want) : 0);
    if (want)
        assert_memory_equal(out.data, want, out.len);
    pw_buf_finish(&out);
    return step;
}

static ScramStep client_step(ScramClient *c, const char *in, const char *want)
{
    PwBuf out;
    pw_buf_init(&out);
    ScramStep step =
        in ? scram_client_message(c, (const uint8_t *)in, strlen(in), &out) : scram_client_first(c, &out);
    if (want) {
        assert_int_equal(out.len, strlen(want));
        assert_memory_equal(out.data, want, out.len);
    } else {
        assert_int_equal(out.len, 0);
    }
    pw_buf_finish(&out);
    return step;
}

static void rfc_7677_server(void **state)
{
    (void)state;
    ScramServer s = rfc_server();
    assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
    assert_int_equal(server_step(&s, RFC_CLIENT_FINAL, RFC_SERVER_FINAL), SCRAM_OK);
    assert_memory_equal(s.client_key, rfc_keys.client_key, SCRAM_KEY_LEN); /* recovered from the proof */
    assert_int_equal(server_step(&s, RFC_CLIENT_FINAL, NULL), SCRAM_PROTOCOL);
    scram_server_finish(&s);
}

static void rfc_7677_client(void **state)
{
    (void)state;
    ScramCache *cache;
    assert_int_equal(scram_cache_create(4, &cache), PW_OK);
    for (int round = 0; round < 3; round++) { /* password, password from the cache, pass-through */
        ScramClientSpec spec = {.owner = "user", .cache = cache, .nonce = RFC_CLIENT_NONCE, .username = "user"};
        if (round == 2)
            spec.keys = &rfc_keys;
        else
            spec.password = "pencil";
        ScramClient c;
        scram_client_init(&c, &spec);
        assert_int_equal(client_step(&c, NULL, RFC_CLIENT_FIRST), SCRAM_CONTINUE);
        assert_int_equal(client_step(&c, RFC_SERVER_FIRST, RFC_CLIENT_FINAL), SCRAM_CONTINUE);
        assert_int_equal(client_step(&c, RFC_SERVER_FINAL, NULL), SCRAM_OK);
        assert_int_equal(client_step(&c, RFC_SERVER_FINAL, NULL), SCRAM_PROTOCOL);
        scram_client_finish(&c);
    }
    ScramCacheStats stats;
    scram_cache_stats(cache, &stats);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.hits, 1);
    scram_cache_destroy(cache);
}

static void wrong_proof(void **state)
{
    (void)state;
    ScramServer s = rfc_server();
    assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
    assert_int_equal(server_step(&s, "c=biws," RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=", NULL),
                     SCRAM_PROTOCOL); /* not canonical base64 */
    scram_server_finish(&s);
    s = rfc_server();
    assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
    assert_int_equal(server_step(&s, "c=biws," RFC_NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", NULL),
                     SCRAM_FAILED);
    assert_int_equal(server_step(&s, RFC_CLIENT_FINAL, NULL), SCRAM_PROTOCOL); /* one try only */
    scram_server_finish(&s);
}

static void doomed_fails_even_with_the_right_proof(void **state)
{
    (void)state;
    ScramServer s;
    scram_server_init(&s, &(ScramServerSpec){
                              .verifier = &rfc_keys.verifier, .nonce = RFC_SERVER_NONCE, .doomed = true});
    assert_true(scram_server_choose(&s, SCRAM_MECHANISM));
    assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
    assert_int_equal(server_step(&s, RFC_CLIENT_FINAL, NULL), SCRAM_FAILED);
    scram_server_finish(&s);
}

static void client_first_variants(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "n", "n,", "n,,", "x,,n=,r=abc", "n,n=,r=abc", "n,,r=abc", "n,,n=", "n,,n=,", "n,,n=,r=", "n,,n=,r=abc,",
        "n,,n=,r=a b", "n,,n=,r=a\xC3\xA9", "n,,n=,r=a\x7F", "n,,m=x,n=,r=abc", "n,,n=,r=abc,xyz", "n,,n=,r=abc,1=z",
        "n,a=admin,n=,r=abc", "y,a=admin,n=,r=abc", "n,a,n=,r=abc",
        "p=tls-unique,,n=,r=abc", "p=tls-server-end-point,,n=,r=abc", "p,,n=,r=abc", "p=,,n=,r=abc", "nn,,n=,r=abc",
    };
    static const char *const good[] = {
        "n,,n=,r=abc", "y,,n=,r=abc", "n,,n=who=2Cever,r=abc", "n,,n=,r=abc,x=future,y=", "n,,n=\xC3\xA9,r=!~",
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        ScramServer s = rfc_server();
        if (server_step(&s, bad[i], NULL) != SCRAM_PROTOCOL)
            fail_msg("taken: %s", bad[i]);
        assert_true(strlen(scram_server_detail(&s)) > 5);
        assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, NULL), SCRAM_PROTOCOL);
        scram_server_finish(&s);
    }
    for (size_t i = 0; i < PW_ARRAY_LEN(good); i++) {
        ScramServer s = rfc_server();
        PwBuf out;
        pw_buf_init(&out);
        if (scram_server_message(&s, (const uint8_t *)good[i], strlen(good[i]), &out) != SCRAM_CONTINUE)
            fail_msg("refused: %s: %s", good[i], scram_server_detail(&s));
        pw_buf_finish(&out);
        scram_server_finish(&s);
    }
    ScramServer s = rfc_server(); /* a NUL byte inside */
    PwBuf out;
    pw_buf_init(&out);
    assert_int_equal(scram_server_message(&s, (const uint8_t *)"n,,n=,r=a\0c", 11, &out), SCRAM_PROTOCOL);
    assert_int_equal(out.len, 0);
    pw_buf_finish(&out);
    scram_server_finish(&s);
}

static void client_final_variants(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "c=biws", "c=biws," RFC_NONCE, "c=biws," RFC_NONCE ",", "c=biws," RFC_NONCE ",p=",
        "c=biws," RFC_NONCE ",p=AAAA", RFC_NONCE ",c=biws," RFC_PROOF,
        "c=eSws," RFC_NONCE "," RFC_PROOF,          /* says "y" where client-first said "n" */
        "c=," RFC_NONCE "," RFC_PROOF, "c=biwsbiws," RFC_NONCE "," RFC_PROOF,
        "c=biws,r=" RFC_CLIENT_NONCE "," RFC_PROOF, /* without our part of the nonce */
        "c=biws," RFC_NONCE "x," RFC_PROOF, "c=biws,r=," RFC_PROOF,
        "c=biws," RFC_NONCE "," RFC_PROOF ",x=y",   /* the proof comes last */
        "c=biws," RFC_NONCE "," RFC_PROOF "AAAA", "c=biws," RFC_NONCE ",=," RFC_PROOF,
        "c=biws," RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQAAAAA",
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        ScramServer s = rfc_server();
        assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
        if (server_step(&s, bad[i], NULL) != SCRAM_PROTOCOL)
            fail_msg("taken: %s", bad[i]);
        scram_server_finish(&s);
    }
    ScramServer s = rfc_server(); /* an extension before the proof is part of what is signed: well-formed, wrong proof */
    assert_int_equal(server_step(&s, RFC_CLIENT_FIRST, RFC_SERVER_FIRST), SCRAM_CONTINUE);
    assert_int_equal(server_step(&s, "c=biws," RFC_NONCE ",x=y," RFC_PROOF, NULL), SCRAM_FAILED);
    scram_server_finish(&s);
}

/* ---- channel binding: nothing offers it yet, but the header rules already hold ---- */

static void append_base64(PwBuf *buf, const char *head, const void *tail, size_t n)
{
    PwBuf raw;
    pw_buf_init(&raw);
    pw_buf_append_str(&raw, head);
    pw_buf_append(&raw, tail, n);
    base64_append(buf, raw.data, raw.len);
    pw_buf_finish(&raw);
}

static ScramStep bound_login(const char *mechanism, const char *gs2, const uint8_t *seen, size_t n_seen)
{
    static const uint8_t hash[32] = "hash of our certificate........";
    ScramServer s;
    scram_server_init(&s, &(ScramServerSpec){.verifier = &rfc_keys.verifier,
                                             .nonce = "SERVER",
                                             .endpoint_hash = hash,
                                             .endpoint_hash_len = sizeof(hash)});
    PwBuf in, out, auth;
    pw_buf_init(&in);
    pw_buf_init(&out);
    pw_buf_init(&auth);
    assert_true(scram_server_choose(&s, mechanism));
    pw_buf_printf(&in, "%sn=,r=CLIENT", gs2);
    ScramStep step = scram_server_message(&s, in.data, in.len, &out);
    if (step == SCRAM_CONTINUE) {
        pw_buf_printf(&auth, "n=,r=CLIENT,%.*s,", (int)out.len, (const char *)out.data);
        in.len = out.len = 0;
        pw_buf_append_str(&in, "c=");
        append_base64(&in, gs2, seen ? seen : hash, seen ? n_seen : sizeof(hash));
        pw_buf_append_str(&in, ",r=CLIENTSERVER");
        pw_buf_append(&auth, in.data, in.len);
        uint8_t proof[SCRAM_KEY_LEN];
        assert_int_equal(scram_hmac(rfc_keys.verifier.stored_key, auth.data, auth.len, proof), PW_OK);
        for (size_t i = 0; i < sizeof(proof); i++)
            proof[i] ^= rfc_keys.client_key[i];
        pw_buf_append_str(&in, ",p=");
        base64_append(&in, proof, sizeof(proof));
        step = scram_server_message(&s, in.data, in.len, &out);
    }
    pw_buf_finish(&in);
    pw_buf_finish(&out);
    pw_buf_finish(&auth);
    scram_server_finish(&s);
    return step;
}

static void channel_binding(void **state)
{
    (void)state;
    const uint8_t other[32] = "hash of somebody in the middle.";
    PwBuf names;
    pw_buf_init(&names);
    scram_server_mechanisms(true, &names);
    assert_int_equal(names.len, sizeof("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256"));
    assert_memory_equal(names.data, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256", names.len);
    pw_buf_finish(&names);
    scram_server_mechanisms(false, &names);
    assert_int_equal(names.len, sizeof("SCRAM-SHA-256"));
    pw_buf_finish(&names);

    assert_int_equal(bound_login(SCRAM_MECHANISM_PLUS, "p=tls-server-end-point,,", NULL, 0), SCRAM_OK);
    assert_int_equal(bound_login(SCRAM_MECHANISM_PLUS, "p=tls-server-end-point,,", other, 32), SCRAM_PROTOCOL);
    assert_int_equal(bound_login(SCRAM_MECHANISM_PLUS, "p=tls-server-end-point,,", other, 0), SCRAM_PROTOCOL);
    assert_int_equal(bound_login(SCRAM_MECHANISM_PLUS, "p=tls-unique,,", NULL, 0), SCRAM_PROTOCOL);
    assert_int_equal(bound_login(SCRAM_MECHANISM_PLUS, "n,,", other, 0), SCRAM_PROTOCOL);
    assert_int_equal(bound_login(SCRAM_MECHANISM, "n,,", other, 0), SCRAM_OK);
    assert_int_equal(bound_login(SCRAM_MECHANISM, "y,,", other, 0), SCRAM_PROTOCOL); /* our offer was taken away */
    ScramServer s = rfc_server();
    assert_false(scram_server_choose(&s, SCRAM_MECHANISM_PLUS));
    assert_false(scram_server_choose(&s, "SCRAM-SHA-1"));
    assert_false(scram_server_choose(&s, ""));
    scram_server_finish(&s);
}

/* ---- the client against bad servers ---- */

static void server_first_variants(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ScramStep want;
    } bad[] = {
        {"", SCRAM_PROTOCOL},
        {RFC_NONCE, SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT, SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=0", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=-5", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=4096x", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=99999999999", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=" RFC_SALT ",i=1000001", SCRAM_FAILED}, /* a worker must not stand still for it */
        {RFC_NONCE ",s=,i=4096", SCRAM_PROTOCOL},
        {RFC_NONCE ",s=W22,i=4096", SCRAM_PROTOCOL},
        {"m=x," RFC_SERVER_FIRST, SCRAM_PROTOCOL},
        {"r=" RFC_CLIENT_NONCE ",s=" RFC_SALT ",i=4096", SCRAM_PROTOCOL}, /* adds nothing */
        {"r=x" RFC_CLIENT_NONCE ",s=" RFC_SALT ",i=4096", SCRAM_PROTOCOL},
        {"r=,s=" RFC_SALT ",i=4096", SCRAM_PROTOCOL},
        {RFC_NONCE " ,s=" RFC_SALT ",i=4096", SCRAM_PROTOCOL},
        {"e=unknown-user", SCRAM_PROTOCOL},
    };
    ScramCache *cache;
    assert_int_equal(scram_cache_create(4, &cache), PW_OK);
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        ScramClient c;
        scram_client_init(&c, &(ScramClientSpec){.owner = "user", .password = "pencil", .cache = cache,
                                                 .nonce = RFC_CLIENT_NONCE, .username = "user"});
        assert_int_equal(client_step(&c, NULL, RFC_CLIENT_FIRST), SCRAM_CONTINUE);
        if (client_step(&c, bad[i].text, NULL) != bad[i].want)
            fail_msg("server-first \"%s\": %s", bad[i].text, scram_client_detail(&c));
        assert_true(strlen(scram_client_detail(&c)) > 5);
        scram_client_finish(&c);
    }
    ScramCacheStats stats;
    scram_cache_stats(cache, &stats);
    assert_int_equal(stats.misses, 0); /* nothing was derived for any of them */
    scram_cache_destroy(cache);
}

static void server_final_variants(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ScramStep want;
        const char *detail;
    } bad[] = {
        {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", SCRAM_PROTOCOL, "malformed SCRAM message from the server"},
        {"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", SCRAM_FAILED, "invalid server signature"},
        {"v=", SCRAM_PROTOCOL, NULL},
        {"", SCRAM_PROTOCOL, NULL},
        {"v=AAAA", SCRAM_PROTOCOL, NULL},
        {"e=invalid-proof", SCRAM_FAILED, "server reports a SCRAM error"},
        {RFC_SERVER_FINAL ",", SCRAM_PROTOCOL, NULL},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        ScramClient c;
        scram_client_init(&c, &(ScramClientSpec){.owner = "user", .keys = &rfc_keys, .nonce = RFC_CLIENT_NONCE,
                                                 .username = "user"});
        assert_int_equal(client_step(&c, NULL, RFC_CLIENT_FIRST), SCRAM_CONTINUE);
        assert_int_equal(client_step(&c, RFC_SERVER_FIRST, RFC_CLIENT_FINAL), SCRAM_CONTINUE);
        if (client_step(&c, bad[i].text, NULL) != bad[i].want)
            fail_msg("server-final \"%s\": %s", bad[i].text, scram_client_detail(&c));
        if (bad[i].detail)
            assert_string_equal(scram_client_detail(&c), bad[i].detail);
        scram_client_finish(&c);
    }
}

static void pass_through_needs_the_same_verifier(void **state)
{
    (void)state;
    static const char *const other[] = {
        RFC_NONCE ",s=" RFC_SALT ",i=4097",
        RFC_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gw==,i=4096",
        RFC_NONCE ",s=W22ZaJ0SNY7soEsUEjb6,i=4096",
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(other); i++) {
        ScramClient c;
        scram_client_init(&c, &(ScramClientSpec){.owner = "user", .keys = &rfc_keys, .nonce = RFC_CLIENT_NONCE,
                                                 .username = "user"});
        assert_int_equal(client_step(&c, NULL, RFC_CLIENT_FIRST), SCRAM_CONTINUE);
        assert_int_equal(client_step(&c, other[i], NULL), SCRAM_FAILED);
        assert_non_null(strstr(scram_client_detail(&c), "SCRAM secret does not match the server's: "));
        assert_int_equal(strstr(scram_client_detail(&c), "the same salt") != NULL, i == 0);
        scram_client_finish(&c);
    }
}

/* ---- each against the other, random nonces ---- */

static ScramStep both(const ScramVerifier *verifier, const ScramClientSpec *spec, uint8_t *ret_client_key)
{
    ScramServer s;
    ScramClient c;
    PwBuf up, down;
    pw_buf_init(&up);
    pw_buf_init(&down);
    scram_server_init(&s, &(ScramServerSpec){.verifier = verifier});
    scram_client_init(&c, spec);
    assert_true(scram_server_choose(&s, SCRAM_MECHANISM));
    assert_int_equal(scram_client_first(&c, &up), SCRAM_CONTINUE);
    assert_int_equal(scram_server_message(&s, up.data, up.len, &down), SCRAM_CONTINUE);
    up.len = 0;
    assert_int_equal(scram_client_message(&c, down.data, down.len, &up), SCRAM_CONTINUE);
    down.len = 0;
    ScramStep step = scram_server_message(&s, up.data, up.len, &down);
    if (step == SCRAM_OK) {
        assert_int_equal(scram_client_message(&c, down.data, down.len, &up), SCRAM_OK);
        memcpy(ret_client_key, s.client_key, SCRAM_KEY_LEN);
    }
    pw_buf_finish(&up);
    pw_buf_finish(&down);
    scram_server_finish(&s);
    scram_client_finish(&c);
    return step;
}

static void against_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *password;
        ScramStep want;
    } cases[] = {
        {PG_SCRAM_SECRET, "secret", SCRAM_OK},
        {PG_SCRAM_SECRET, "Secret", SCRAM_FAILED},
        {PG_SCRAM_SECRET, "", SCRAM_FAILED},
        {PG_SCRAM_UNICODE, PG_SCRAM_UNICODE_PASSWORD, SCRAM_OK},
        {PG_SCRAM_MAPPED, PG_SCRAM_MAPPED_PASSWORD, SCRAM_OK},
        {PG_SCRAM_MAPPED, "a  x", SCRAM_FAILED},
    };
    ScramCache *cache;
    assert_int_equal(scram_cache_create(16, &cache), PW_OK);
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        Secret secret = make_secret(cases[i].secret);
        ScramKeys keys = {.verifier = *secret.scram};
        ScramClientSpec with_password = {.owner = "u", .password = cases[i].password, .cache = cache};
        assert_int_equal(both(secret.scram, &with_password, keys.client_key), cases[i].want);
        if (cases[i].want == SCRAM_OK) { /* the key seen in this login serves the next one without a password */
            ScramClientSpec pass_through = {.owner = "u", .keys = &keys};
            uint8_t again[SCRAM_KEY_LEN];
            assert_int_equal(both(secret.scram, &pass_through, again), SCRAM_OK);
            assert_memory_equal(again, keys.client_key, SCRAM_KEY_LEN);
        }
        secret_finish(&secret);
    }
    scram_cache_destroy(cache);
}

/* Our client's side against our server's: bound, offered but taken away, not offered. */
static void bound_against_each_other(void **state)
{
    (void)state;
    static const uint8_t ours[32] = "the certificate that was shown", other[32] = "the one of the man in the middle";
    static const struct {
        const uint8_t *server, *client;
        bool plus;
        ScramStep want;
    } cases[] = {
        {ours, ours, true, SCRAM_OK},
        {ours, other, true, SCRAM_PROTOCOL},
        {ours, ours, false, SCRAM_PROTOCOL}, /* "y": the server did offer it */
        {NULL, ours, false, SCRAM_OK},       /* "y": and it is true */
        {ours, NULL, false, SCRAM_OK},       /* "n": a client that cannot */
    };
    Secret secret = make_secret(PG_SCRAM_SECRET);
    ScramCache *cache;
    assert_int_equal(scram_cache_create(16, &cache), PW_OK);
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        ScramServer s;
        ScramClient c;
        PwBuf up, down;
        pw_buf_init(&up);
        pw_buf_init(&down);
        scram_server_init(&s, &(ScramServerSpec){.verifier = secret.scram, .endpoint_hash = cases[i].server,
                                                 .endpoint_hash_len = 32});
        scram_client_init(&c, &(ScramClientSpec){.owner = "u", .password = "secret", .cache = cache,
                                                 .endpoint_hash = cases[i].client, .endpoint_hash_len = 32, .plus = cases[i].plus});
        assert_true(scram_server_choose(&s, cases[i].plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM));
        assert_int_equal(scram_client_first(&c, &up), SCRAM_CONTINUE);
        ScramStep step = scram_server_message(&s, up.data, up.len, &down);
        if (step == SCRAM_CONTINUE) {
            pw_buf_consume(&up, up.len);
            assert_int_equal(scram_client_message(&c, down.data, down.len, &up), SCRAM_CONTINUE);
            pw_buf_consume(&down, down.len);
            step = scram_server_message(&s, up.data, up.len, &down);
        }
        assert_int_equal(step, cases[i].want);
        if (step == SCRAM_OK)
            assert_int_equal(scram_client_message(&c, down.data, down.len, &up), SCRAM_OK);
        pw_buf_finish(&up);
        pw_buf_finish(&down);
        scram_server_finish(&s);
        scram_client_finish(&c);
    }
    scram_cache_destroy(cache);
    secret_finish(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_7677_server),
        cmocka_unit_test(rfc_7677_client),
        cmocka_unit_test(wrong_proof),
        cmocka_unit_test(doomed_fails_even_with_the_right_proof),
        cmocka_unit_test(client_first_variants),
        cmocka_unit_test(client_final_variants),
        cmocka_unit_test(channel_binding),
        cmocka_unit_test(server_first_variants),
        cmocka_unit_test(server_final_variants),
        cmocka_unit_test(pass_through_needs_the_same_verifier),
        cmocka_unit_test(against_each_other),
        cmocka_unit_test(bound_against_each_other),
    };
    return cmocka_run_group_tests(tests, derive_rfc_keys, NULL);
}
