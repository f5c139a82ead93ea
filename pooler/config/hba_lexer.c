/* SPDX-License-Identifier: ISC */
#include "pooler/config/hba_lexer.h"

#include <string.h>

#include "poolwise/mem.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Reads a quoted part from behind its first quote; false: it does not end. */
static bool quoted_part(HbaLexer *lx)
{
    while (lx->p < lx->end && *lx->p != '\0') {
        char c = *lx->p++;
        if (c == '"') {
            if (lx->p == lx->end || *lx->p != '"')
                return true;
            lx->p++;
        }
        pw_buf_append_u8(&lx->buf, (uint8_t)c);
    }
    return false;
}

static HbaTokenKind read_word(HbaLexer *lx)
{
    lx->quoted = *lx->p == '"';
    while (lx->p < lx->end) {
        char c = *lx->p;
        if (is_blank(c) || c == '#' || (c == ',' && lx->commas))
            break;
        if (c == '\0')
            return HBA_TOKEN_BAD;
        lx->p++;
        if (c != '"')
            pw_buf_append_u8(&lx->buf, (uint8_t)c);
        else if (!quoted_part(lx))
            return HBA_TOKEN_BAD;
    }
    return HBA_TOKEN_WORD;
}

void hba_lexer_next(HbaLexer *lx)
{
    if (lx->kind == HBA_TOKEN_BAD)
        return;
    pw_buf_consume(&lx->buf, pw_buf_unread(&lx->buf));
    lx->quoted = false;
    while (lx->p < lx->end && (is_blank(*lx->p) || (*lx->p == ',' && !lx->commas)))
        lx->p++;
    if (lx->p == lx->end || *lx->p == '#') {
        lx->p = lx->end;
        lx->kind = HBA_TOKEN_END;
    } else if (*lx->p == ',' && lx->commas) {
        lx->p++;
        lx->kind = HBA_TOKEN_COMMA;
    } else {
        lx->kind = read_word(lx);
    }
    pw_buf_append_u8(&lx->buf, 0);
}

static void init(HbaLexer *lx, const char *text, size_t n, bool commas)
{
    *lx = (HbaLexer){.p = text, .end = text + n, .commas = commas, .kind = HBA_TOKEN_END};
    pw_buf_init(&lx->buf);
    hba_lexer_next(lx);
}

void hba_lexer_init(HbaLexer *lx, const char *text, size_t n)
{
    init(lx, text, n, true);
}

void hba_lexer_init_options(HbaLexer *lx, const char *text, size_t n)
{
    init(lx, text, n, false);
}

void hba_lexer_finish(HbaLexer *lx)
{
    if (lx->buf.data)
        pw_wipe(lx->buf.data, lx->buf.cap);
    pw_buf_finish(&lx->buf);
}

const char *hba_lexer_word(const HbaLexer *lx)
{
    return lx->kind == HBA_TOKEN_WORD ? (const char *)pw_buf_head(&lx->buf) : "";
}

bool hba_lexer_eat(HbaLexer *lx, const char *keyword)
{
    if (lx->kind != HBA_TOKEN_WORD || lx->quoted || strcmp(hba_lexer_word(lx), keyword) != 0)
        return false;
    hba_lexer_next(lx);
    return true;
}
