/* SPDX-License-Identifier: ISC */
#include "advisor/sql/parse.h"

#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/tree.h"
#include "poolwise/lexer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

PwErr adv_sql_fingerprint(const char *text, uint64_t *ret_fingerprint)
{
    if (!adv_tree_is_shallow(text))
        return PW_ERR_SYNTAX;
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

static void add_piece(AdvArena *arena, AdvPiece **pieces, int *n, AdvPiece piece)
{
    if (piece.len == 0)
        return;
    ADV_ROOM(arena, *pieces, *n);
    (*pieces)[(*n)++] = piece;
}

static bool is_comment(const PgQuery__ScanToken *token)
{
    return token->token == PG_QUERY__TOKEN__SQL_COMMENT || token->token == PG_QUERY__TOKEN__C_COMMENT;
}

/* libpg_query's own splitters drop statements that do not begin with a keyword, or need text that parses: here what
 * is misspelt must come out too, to be reported. A semicolon inside parentheses belongs to its statement. */
static void split_tokens(AdvArena *arena, const char *text, const PgQuery__ScanResult *scan, AdvPiece **pieces, int *n)
{
    size_t total = strlen(text), counted = 0;
    int depth = 0, line = 1;
    AdvPiece piece = {.weight = 1};
    for (size_t i = 0; i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        if (token->start < 0 || token->end < token->start || (size_t)token->end > total)
            continue;
        if (is_comment(token)) {
            double weight = comment_weight(text + token->start, (size_t)(token->end - token->start));
            if (weight > 0)
                piece.weight = weight;
            continue;
        }
        if (token->token == PG_QUERY__TOKEN__ASCII_40)
            depth++;
        else if (token->token == PG_QUERY__TOKEN__ASCII_41 && depth > 0)
            depth--;
        if (token->token == PG_QUERY__TOKEN__ASCII_59 && depth == 0) {
            add_piece(arena, pieces, n, piece);
            piece = (AdvPiece){.weight = 1};
            continue;
        }
        if (piece.len == 0) {
            piece.start = (size_t)token->start;
            for (; counted < piece.start; counted++)
                line += text[counted] == '\n';
            piece.line = line;
        }
        piece.len = (size_t)token->end - piece.start;
    }
    add_piece(arena, pieces, n, piece);
}

/* The walk over the tree visits what conditions need. A server wants a value for every $n, wherever it stands. */
void adv_sql_add_other_params(Analyser *a, const char *text)
{
    PwLexer lexer = pw_lexer(text, strlen(text), 0);
    PwToken token;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        bool is_new;
        AdvParam *param = token.type == PW_TOK_PARAM ? adv_param_at(a, (int)(token.text - text), &is_new) : NULL;
        if (param && is_new)
            param->number = atoi(token.text + 1);
    }
}

/* Lines with commands to psql, as pg_dump writes them (\restrict), are blank to the scanner; their words need not even be tokens. */
static const char *without_psql_commands(AdvArena *arena, const char *text)
{
    if (!strstr(text, "\n\\") && text[0] != '\\')
        return text;
    char *copy = adv_arena_strdup(arena, text);
    for (char *line = copy; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line[0] == '\\' && isalpha((unsigned char)line[1]))
            memset(line, ' ', strcspn(line, "\n"));
    }
    return copy;
}

void adv_sql_split(AdvArena *arena, const char *text, AdvPiece **ret_pieces, int *ret_n)
{
    *ret_pieces = NULL;
    *ret_n = 0;
    PgQueryScanResult scanned = pg_query_scan(without_psql_commands(arena, text));
    PgQuery__ScanResult *scan =
        scanned.error ? NULL
                      : pg_query__scan_result__unpack(NULL, scanned.pbuf.len, (const uint8_t *)scanned.pbuf.data);
    if (scan) {
        split_tokens(arena, text, scan, ret_pieces, ret_n);
        pg_query__scan_result__free_unpacked(scan, NULL);
    } else {
        /* An open quote or the like. One piece: the parser says where it went wrong. */
        size_t len = strlen(text), start = 0;
        int line = 1;
        while (start < len && isspace((unsigned char)text[start]))
            line += text[start++] == '\n';
        add_piece(arena, ret_pieces, ret_n, (AdvPiece){.start = start, .len = len - start, .line = line, .weight = 1});
    }
    pg_query_free_scan_result(scanned);
}

static void settle(AdvCatalog *catalog, AdvTable *table, AdvIndexKey *key)
{
    AdvFacts *facts;
    const char *why;
    bool referenced = table->referenced; /* reading its indexes is no use of it */
    const char *text = adv_arena_printf(catalog->arena, "SELECT 1 FROM %s WHERE (%s) = $1", adv_table_sql_name(catalog, table), key->expr);
    if (!adv_sql_analyse(catalog, catalog->arena, text, &facts, &why) && facts->n_preds == 1 && facts->preds[0].expr)
        key->expr = facts->preds[0].expr;
    table->referenced = referenced;
}

void adv_sql_settle_indexes(AdvCatalog *catalog)
{
    for (int t = 0; t < catalog->n_tables; t++)
        for (int i = 0; i < catalog->tables[t]->n_indexes; i++)
            for (int k = 0; k < catalog->tables[t]->indexes[i]->n_keys; k++)
                if (catalog->tables[t]->indexes[i]->keys[k].expr)
                    settle(catalog, catalog->tables[t], &catalog->tables[t]->indexes[i]->keys[k]);
}
