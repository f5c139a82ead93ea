/* SPDX-License-Identifier: ISC */
#include "auth_test.h"
#include "pooler/auth/base64.h"

#include <stdio.h>
#include <stdlib.h>

static void check_kind(const char *text, SecretKind kind)
{
    Secret s = make_secret(text);
    if (s.kind != kind)
        fail_msg("\"%s\" is %s", text, secret_kind_name(s.kind));
    assert_string_equal(s.text, text);
    assert_int_equal(s.scram != NULL, kind == SECRET_SCRAM);
    secret_finish(&s);
    assert_int_equal(s.kind, SECRET_EMPTY);
    assert_null(s.text);
}

static void kinds(void **state)
{
    (void)state;
    check_kind("", SECRET_EMPTY);
    check_kind("secret", SECRET_PLAIN);
    check_kind(PG_MD5_SECRET, SECRET_MD5);
    check_kind("md5151259fd95fe948a1521856e97fe4fc", SECRET_PLAIN);   /* 31 digits */
    check_kind("md5151259fd95fe948a1521856e97fe4fc33", SECRET_PLAIN); /* 33 */
    check_kind("md5151259FD95fe948a1521856e97fe4fc3", SECRET_PLAIN);  /* PostgreSQL writes small letters */
    check_kind("md5151259gd95fe948a1521856e97fe4fc3", SECRET_PLAIN);
    check_kind(PG_SCRAM_SECRET, SECRET_SCRAM);
}

static void scram_fields(void **state)
{
    (void)state;
    static const uint8_t salt[16] = {0x2b, 0xc6, 0x98, 0x4a, 0xd9, 0x64, 0xd4, 0x79,
                                     0x29, 0x3a, 0x8b, 0xa8, 0x49, 0x6e, 0xd1, 0x71};
    ScramVerifier v;
    assert_int_equal(scram_verifier_parse(PG_SCRAM_SECRET, strlen(PG_SCRAM_SECRET), &v), PW_OK);
    assert_int_equal(v.iterations, 4096);
    assert_int_equal(v.salt_len, 16);
    assert_memory_equal(v.salt, salt, 16);
    assert_int_equal(v.stored_key[0], 0x98);
    assert_int_equal(v.server_key[31], 0x5d);
    ScramVerifier other = v;
    assert_true(scram_verifier_equal(&v, &other));
    other.server_key[31] ^= 1;
    assert_false(scram_verifier_equal(&v, &other));
    other = v;
    other.iterations++;
    assert_false(scram_verifier_equal(&v, &other));
    other = v;
    other.salt[3] ^= 0x80;
    assert_false(scram_verifier_equal(&v, &other));
}

#define STORED "mATK8iDqHryTIgWTZ8296m60jg8osYPoyh9OwB7eiRA="
#define SERVER "u3aLJMCypONYyxiedkUkxm5lXE0seKme58pM2vrB6l0="

static void scram_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096",
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==",
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED,
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":",
        "SCRAM-SHA-256$0:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$-1:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$ 4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$2147483648:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$99999999999999999999:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$4096:$" STORED ":" SERVER,                    /* no salt */
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ=$" STORED ":" SERVER,  /* padding */
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcR==$" STORED ":" SERVER, /* unused bits */
        "SCRAM-SHA-256$4096:K8a!Stlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$mATK8iDqHryTIgWTZ8296m60jg8osYPoyh9OwB7eiQ==:" SERVER,
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER "=",
        "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER "AAAA",
        "scram-sha-256$4096:K8aYStlk1HkpOouoSW7RcQ==$" STORED ":" SERVER,
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        ScramVerifier v = {.iterations = 77};
        if (scram_verifier_parse(bad[i], strlen(bad[i]), &v) != PW_ERR_SYNTAX)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(v.iterations, 77); /* results only on success */
        check_kind(bad[i], SECRET_PLAIN);
    }
    assert_true(secret_looks_like_scram(bad[0], strlen(bad[0])));
    assert_false(secret_looks_like_scram("SCRAM", 5));
}

static void salt_limit(void **state)
{
    (void)state;
    static const struct {
        size_t salt;
        PwErr want;
    } cases[] = {{1, PW_OK}, {SCRAM_SALT_MAX, PW_OK}, {SCRAM_SALT_MAX + 1, PW_ERR_SYNTAX}, {4000, PW_ERR_SYNTAX}};
    uint8_t salt[4000] = {0};
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        PwBuf text;
        ScramVerifier v;
        pw_buf_init(&text);
        pw_buf_append_str(&text, "SCRAM-SHA-256$1:");
        base64_append(&text, salt, cases[i].salt);
        pw_buf_append_str(&text, "$" STORED ":" SERVER);
        assert_int_equal(scram_verifier_parse((const char *)text.data, text.len, &v), cases[i].want);
        pw_buf_finish(&text);
    }
}

static void limits(void **state)
{
    (void)state;
    char *text = malloc(SECRET_MAX + 1);
    Secret s;
    memset(text, 'x', SECRET_MAX + 1);
    assert_int_equal(secret_init(&s, text, SECRET_MAX + 1), PW_ERR_TOO_LARGE);
    assert_int_equal(secret_init(&s, text, SECRET_MAX), PW_OK);
    assert_int_equal(s.len, SECRET_MAX);
    assert_int_equal(strlen(s.text), SECRET_MAX);
    secret_finish(&s);
    text[7] = '\0';
    assert_int_equal(secret_init(&s, text, 20), PW_ERR_SYNTAX);
    free(text);
}

static void base64(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } good[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "=m8=", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm8-"};
    uint8_t out[16];
    size_t n;
    for (size_t i = 0; i < PW_ARRAY_LEN(good); i++) {
        PwBuf buf;
        pw_buf_init(&buf);
        base64_append(&buf, (const uint8_t *)good[i].bytes, strlen(good[i].bytes));
        assert_int_equal(buf.len, strlen(good[i].text));
        if (buf.len)
            assert_memory_equal(buf.data, good[i].text, buf.len);
        pw_buf_finish(&buf);
        assert_int_equal(base64_decode(good[i].text, strlen(good[i].text), out, sizeof(out), &n), PW_OK);
        assert_int_equal(n, strlen(good[i].bytes));
        assert_memory_equal(out, good[i].bytes, n);
    }
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        if (base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &n) != PW_ERR_SYNTAX)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 5, &n), PW_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),  cmocka_unit_test(scram_fields), cmocka_unit_test(scram_malformed),
        cmocka_unit_test(salt_limit), cmocka_unit_test(limits), cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
