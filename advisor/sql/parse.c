/* SPDX-License-Identifier: ISC */
#include "advisor/sql/parse.h"

#include <ctype.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <stdlib.h>

PwErr adv_sql_fingerprint(const char *text, uint64_t *ret_fingerprint)
{
    PgQueryFingerprintResult result = pg_query_fingerprint(text);
    PwErr err = result.error ? PW_ERR_SYNTAX : PW_OK;
    if (!err)
        *ret_fingerprint = result.fingerprint;
    pg_query_free_fingerprint_result(result);
    return err;
}

/* "-- weight: 25" or a C comment of the same form; -1 when the comment says something else. */
static double comment_weight(const char *text, size_t len)
{
    char buf[64];
    size_t n = 0;
    while (len > 0 && (*text == '-' || *text == '/' || *text == '*' || isspace((unsigned char)*text))) {
        text++;
        len--;
    }
    while (n < len && n + 1 < sizeof(buf) && text[n] != '\n') {
        buf[n] = text[n];
        n++;
    }
    buf[n] = '\0';
    double weight;
    char end;
    int fields = sscanf(buf, "weight: %lf%c", &weight, &end);
    if ((fields == 1 || (fields == 2 && (isspace((unsigned char)end) || end == '*'))) && weight > 0 && weight < 1e15)
        return weight;
    return -1;
}

/* Skips blanks and comments at the start of a piece; takes a weight from the comments. */
static void trim_piece(const char *text, AdvPiece *piece, const PgQuery__ScanResult *scan)
{
    size_t end = piece->start + piece->len;
    piece->weight = 1;
    size_t first = end, last = piece->start;
    for (size_t i = 0; scan && i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        if ((size_t)token->start < piece->start || (size_t)token->end > end || token->start < 0)
            continue;
        if (token->token == PG_QUERY__TOKEN__SQL_COMMENT || token->token == PG_QUERY__TOKEN__C_COMMENT) {
            double weight = comment_weight(text + token->start, (size_t)(token->end - token->start));
            if (weight > 0)
                piece->weight = weight;
            continue;
        }
        if (token->token == PG_QUERY__TOKEN__ASCII_59)
            continue;
        if ((size_t)token->start < first)
            first = (size_t)token->start;
        last = (size_t)token->end;
    }
    piece->start = first;
    piece->len = last > first ? last - first : 0;
}

static void add_piece(AdvArena *arena, AdvPiece **pieces, int *n, const char *text, AdvPiece piece)
{
    if (piece.len == 0)
        return;
    piece.line = 1;
    for (size_t i = 0; i < piece.start; i++)
        piece.line += text[i] == '\n';
    ADV_ROOM(arena, *pieces, *n);
    (*pieces)[(*n)++] = piece;
}

void adv_sql_split(AdvArena *arena, const char *text, AdvPiece **ret_pieces, int *ret_n)
{
    *ret_pieces = NULL;
    *ret_n = 0;
    PgQueryScanResult scanned = pg_query_scan(text);
    PgQuery__ScanResult *scan =
        scanned.error ? NULL
                      : pg_query__scan_result__unpack(NULL, scanned.pbuf.len, (const uint8_t *)scanned.pbuf.data);
    PgQuerySplitResult split = pg_query_split_with_scanner(text);
    if (!scan || split.error) {
        /* An open quote or the like. One piece: the parser says where it went wrong. */
        size_t len = strlen(text), start = 0;
        while (start < len && isspace((unsigned char)text[start]))
            start++;
        add_piece(arena, ret_pieces, ret_n, text, (AdvPiece){.start = start, .len = len - start, .weight = 1});
    } else {
        size_t total = strlen(text);
        size_t previous = 0;
        for (int i = 0; i < split.n_stmts; i++) {
            if (split.stmts[i]->stmt_location < 0 || split.stmts[i]->stmt_len < 0)
                continue;
            size_t start = (size_t)split.stmts[i]->stmt_location;
            size_t end = start + (size_t)split.stmts[i]->stmt_len;
            if (start > total || end > total)
                continue;
            /* The splitter leaves out what precedes the first token: take it in, for its weight comment. */
            AdvPiece piece = {.start = previous, .len = end > previous ? end - previous : 0};
            previous = end;
            trim_piece(text, &piece, scan);
            add_piece(arena, ret_pieces, ret_n, text, piece);
        }
    }
    pg_query_free_split_result(split);
    if (scan)
        pg_query__scan_result__free_unpacked(scan, NULL);
    pg_query_free_scan_result(scanned);
}
