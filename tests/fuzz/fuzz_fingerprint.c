/* SPDX-License-Identifier: ISC */
/* Lexer, fingerprint and normalised text. The first byte chooses standard_conforming_strings. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/fingerprint.h"
#include "poolwise/lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned flags = data[0] & 1 ? PW_LEX_BACKSLASH : 0;
    const char *sql = (const char *)data + 1;
    size_t len = size - 1;

    PwLexer lexer = pw_lexer(sql, len, flags);
    PwToken token;
    const char *before = sql;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        char value[64];
        check(token.len > 0 && token.text >= before && token.text + token.len == lexer.p && lexer.p <= sql + len);
        before = lexer.p;
        size_t n = pw_token_string(&token, flags, value, sizeof(value));
        check(n == SIZE_MAX || (n <= token.len && (n == 0 || memchr(value, '\0', sizeof(value)) != NULL)));
        (void)pw_token_is(&token, "select");
    }
    check(lexer.p == sql + len);

    static char text[PW_QUERY_TEXT_MAX + 1];
    PwNormalised normal = pw_normalise(sql, len, flags, text, sizeof(text));
    check(normal.fingerprint == pw_fingerprint(sql, len, flags) && normal.fingerprint != 0);
    check(normal.len < sizeof(text) && strlen(text) == normal.len);
    char small[17];
    PwNormalised cut = pw_normalise(sql, len, flags, small, sizeof(small));
    check(cut.len < sizeof(small) && memcmp(small, text, cut.len) == 0 && cut.fingerprint == normal.fingerprint);
    return 0;
}
