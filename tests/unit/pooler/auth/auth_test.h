/* SPDX-License-Identifier: ISC */
/* auth_test.h - what the tests of pooler/auth share: cmocka, secrets from literals, message helpers. */
#ifndef TESTS_AUTH_TEST_H
#define TESTS_AUTH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include "pooler/auth/secrets.h"
#include "poolwise/buf.h"
#include "poolwise/wire.h"

#include <string.h>

/* Stored by PostgreSQL 15.  CREATE ROLE ... PASSWORD 'secret' */
#define PG_SCRAM_SECRET                                                                             \
    "SCRAM-SHA-256$4096:K8aYStlk1HkpOouoSW7RcQ==$mATK8iDqHryTIgWTZ8296m60jg8osYPoyh9OwB7eiRA="      \
    ":u3aLJMCypONYyxiedkUkxm5lXE0seKme58pM2vrB6l0="
/* PASSWORD U&'p\00E4ssw\00F6rd \2168\FB01': SASLprep makes "IX" and "fi" of the last two */
#define PG_SCRAM_UNICODE                                                                            \
    "SCRAM-SHA-256$4096:2I0+JcGuyXvraYFIrZnHiQ==$x4VKstUQAqGqCWhTanQl1C3QKTJHgQr9EI41tJWuO/0="      \
    ":GGo/xb4UVGGkVIWf3MYfqZGxv37I9r/X7xR6YbaYqec="
#define PG_SCRAM_UNICODE_PASSWORD "p\xC3\xA4ssw\xC3\xB6rd \xE2\x85\xA8\xEF\xAC\x81"
/* PASSWORD U&'\00AA\00A0x' */
#define PG_SCRAM_MAPPED                                                                             \
    "SCRAM-SHA-256$4096:1n+mVwY//D5sS3vWuXXIWw==$+hs0cMe9HNd24UJ0+F+kOkG2FxYvYppSNaUmKE/ZKP4="      \
    ":p//rx0diOfRjfcv92j+HYeCB6+Qc9eN+zjqajaIJulk="
#define PG_SCRAM_MAPPED_PASSWORD "\xC2\xAA\xC2\xA0x"
/* role d, PASSWORD 'secret' */
#define PG_MD5_SECRET "md5151259fd95fe948a1521856e97fe4fc3"

static inline Secret make_secret(const char *text)
{
    Secret s;
    assert_int_equal(secret_init(&s, text, strlen(text)), PW_OK);
    return s;
}

/* Takes the one whole message off buf, checks its type and length word; the payload goes to the caller's array. */
static inline size_t take_message(PwBuf *buf, char type, uint8_t *payload, size_t max)
{
    assert_true(pw_buf_unread(buf) >= PW_WIRE_HEADER);
    const uint8_t *p = pw_buf_head(buf);
    size_t n = pw_be32(p + 1);
    assert_int_equal(p[0], type);
    assert_int_equal(n + 1, pw_buf_unread(buf));
    assert_true(n - 4 <= max);
    memcpy(payload, p + PW_WIRE_HEADER, n - 4);
    pw_buf_consume(buf, n + 1);
    return n - 4;
}

#endif
