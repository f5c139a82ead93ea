/* SPDX-License-Identifier: ISC */
#include "auth_test.h"
#include "pooler/auth/md5.h"
#include "pooler/auth/password.h"

static int setup(void **state)
{
    return scram_cache_create(8, (ScramCache **)state) == PW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    scram_cache_destroy(*state);
    return 0;
}

static PwErr verify(ScramCache *cache, const char *stored, const char *user, const char *password)
{
    Secret s = make_secret(stored);
    PwErr err = password_verify(&s, user, password, cache);
    secret_finish(&s);
    return err;
}

static void cleartext(void **state)
{
    ScramCache *cache = *state;
    assert_int_equal(verify(cache, "secret", "d", "secret"), PW_OK);
    assert_int_equal(verify(cache, "secret", "d", "secre"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, "secret", "d", "secrets"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, "secret", "d", "Secret"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, PG_MD5_SECRET, "d", "secret"), PW_OK);
    assert_int_equal(verify(cache, PG_MD5_SECRET, "e", "secret"), PW_ERR_AUTH); /* the name is part of it */
    assert_int_equal(verify(cache, PG_MD5_SECRET, "d", PG_MD5_SECRET), PW_ERR_AUTH);
    assert_int_equal(verify(cache, PG_SCRAM_SECRET, "a", "secret"), PW_OK);
    assert_int_equal(verify(cache, PG_SCRAM_SECRET, "a", "secret"), PW_OK); /* from the cache */
    assert_int_equal(verify(cache, PG_SCRAM_SECRET, "a", "Secret"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, PG_SCRAM_UNICODE, "b", PG_SCRAM_UNICODE_PASSWORD), PW_OK);
    assert_int_equal(verify(cache, PG_SCRAM_UNICODE, "b", "p\xC3\xA4ssw\xC3\xB6rd IXfi"), PW_OK); /* its prepared form */
    assert_int_equal(verify(cache, PG_SCRAM_UNICODE, "b", "password IXfi"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, PG_SCRAM_MAPPED, "c", PG_SCRAM_MAPPED_PASSWORD), PW_OK);
    assert_int_equal(verify(cache, PG_SCRAM_MAPPED, "c", "a x"), PW_OK);
}

static void empty_never_matches(void **state)
{
    ScramCache *cache = *state;
    assert_int_equal(verify(cache, "", "d", ""), PW_ERR_AUTH);
    assert_int_equal(verify(cache, "", "d", "x"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, "secret", "d", ""), PW_ERR_AUTH);
    char text[MD5_SECRET_LEN + 1]; /* of the empty password */
    assert_int_equal(md5_secret("", "d", text), PW_OK);
    assert_int_equal(verify(cache, text, "d", ""), PW_ERR_AUTH);
}

static void guesses_are_not_cached(void **state)
{
    ScramCache *cache = *state;
    ScramCacheStats before, after;
    scram_cache_stats(cache, &before);
    assert_int_equal(verify(cache, PG_SCRAM_SECRET, "a", "guess 1"), PW_ERR_AUTH);
    assert_int_equal(verify(cache, PG_SCRAM_SECRET, "a", "guess 2"), PW_ERR_AUTH);
    scram_cache_stats(cache, &after);
    assert_int_equal(after.entries, before.entries);
    assert_int_equal(after.misses, before.misses + 2);
}

static void md5_known(void **state)
{
    (void)state;
    static const uint8_t salt[4] = {0x01, 0xAB, 0x00, 0xFF};
    /* python3: "md5" + md5(b"151259fd95fe948a1521856e97fe4fc3" + bytes([1, 0xab, 0, 0xff])).hexdigest() */
    static const char answer[] = "md54daf23d6c51a23c060e5c011d1db3961";
    char text[MD5_SECRET_LEN + 1];
    assert_int_equal(md5_secret("secret", "d", text), PW_OK);
    assert_string_equal(text, PG_MD5_SECRET);

    Secret plain = make_secret("secret"), md5 = make_secret(PG_MD5_SECRET), scram = make_secret(PG_SCRAM_SECRET);
    Secret none = make_secret("");
    assert_int_equal(md5_response(&plain, "d", salt, text), PW_OK);
    assert_string_equal(text, answer);
    assert_int_equal(md5_response(&md5, "whoever", salt, text), PW_OK);
    assert_string_equal(text, answer);
    assert_int_equal(md5_response(&scram, "d", salt, text), PW_ERR_AUTH);
    assert_int_equal(md5_response(&none, "d", salt, text), PW_ERR_AUTH);

    static const uint8_t other_salt[4] = {1, 2, 3, 4};
    assert_int_equal(md5_verify(&plain, "d", salt, answer, MD5_SECRET_LEN), PW_OK);
    assert_int_equal(md5_verify(&md5, "d", salt, answer, MD5_SECRET_LEN), PW_OK);
    assert_int_equal(md5_verify(&md5, "d", other_salt, answer, MD5_SECRET_LEN), PW_ERR_AUTH);
    assert_int_equal(md5_verify(&plain, "e", salt, answer, MD5_SECRET_LEN), PW_ERR_AUTH);
    assert_int_equal(md5_verify(&md5, "d", salt, answer, MD5_SECRET_LEN - 1), PW_ERR_AUTH);
    assert_int_equal(md5_verify(&md5, "d", salt, PG_MD5_SECRET, MD5_SECRET_LEN), PW_ERR_AUTH); /* the hash is no answer */
    assert_int_equal(md5_verify(&none, "d", salt, answer, MD5_SECRET_LEN), PW_ERR_AUTH);
    assert_int_equal(md5_verify(&scram, "d", salt, answer, MD5_SECRET_LEN), PW_ERR_AUTH);
    secret_finish(&plain);
    secret_finish(&md5);
    secret_finish(&scram);
    secret_finish(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cleartext, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_never_matches, setup, teardown),
        cmocka_unit_test_setup_teardown(guesses_are_not_cached, setup, teardown),
        cmocka_unit_test(md5_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
