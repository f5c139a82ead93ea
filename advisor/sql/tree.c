/* SPDX-License-Identifier: ISC */
#include "advisor/sql/tree.h"

#include <pg_query.h>

#include "poolwise/lexer.h"

/* A level of the tree takes some 1.7 kB of stack while it is unpacked. What is counted is half of the depth at the worst; the analysis itself
 * looks no deeper than MAX_EXPR_DEPTH. */
#define NESTING_MAX 1500

typedef enum Effect {
    EFFECT_NONE,
    EFFECT_OPENS,
    EFFECT_CLOSES,
    EFFECT_DEEPENS,  /* an operator: one side of it is a level below */
    EFFECT_CHAINS,   /* the same of joins and set operations, whose sides have commas and conditions of their own */
    EFFECT_SEPARATES /* what follows is beside what was before: lists are flat, those of AND and OR too */
} Effect;

static Effect effect_of(const PwToken *token)
{
    static const struct {
        const char *word;
        Effect effect;
    } rows[] = {
        {"and", EFFECT_SEPARATES},   {"at", EFFECT_DEEPENS},     {"case", EFFECT_OPENS},     {"collate", EFFECT_DEEPENS}, {"end", EFFECT_CLOSES},
        {"except", EFFECT_CHAINS},   {"ilike", EFFECT_DEEPENS},  {"in", EFFECT_DEEPENS},     {"intersect", EFFECT_CHAINS}, {"is", EFFECT_DEEPENS},
        {"isnull", EFFECT_DEEPENS},  {"join", EFFECT_CHAINS},    {"like", EFFECT_DEEPENS},   {"not", EFFECT_DEEPENS},     {"notnull", EFFECT_DEEPENS},
        {"operator", EFFECT_DEEPENS}, {"or", EFFECT_SEPARATES},  {"similar", EFFECT_DEEPENS}, {"union", EFFECT_CHAINS},
    };
    if (token->type == PW_TOK_OP || token->type == PW_TOK_CAST)
        return EFFECT_DEEPENS;
    if (token->type == PW_TOK_PUNCT)
        return *token->text == '(' || *token->text == '[' ? EFFECT_OPENS : *token->text == ')' || *token->text == ']' ? EFFECT_CLOSES
               : *token->text == ',' || *token->text == ';'                                                            ? EFFECT_SEPARATES
                                                                                                                       : EFFECT_NONE;
    for (size_t i = 0; token->type == PW_TOK_WORD && i < PW_ARRAY_LEN(rows); i++)
        if (pw_token_is(token, rows[i].word))
            return rows[i].effect;
    return EFFECT_NONE;
}

/* What stands inside one pair of parentheses. */
typedef struct Level {
    int chains;    /* joins and set operations */
    int operators; /* those, and the others since the last separator: they may all wait for what comes next */
    int depth;     /* of what is read since the last separator */
    int deepest;   /* of what was read before */
} Level;

static int larger(int a, int b)
{
    return a > b ? a : b;
}

bool adv_tree_is_shallow(const char *text)
{
    Level levels[NESTING_MAX] = {{0}}, *level = levels;
    int around = 0; /* levels and operators that wait for what is inside the innermost parentheses */
    PwLexer lexer = pw_lexer(text, strlen(text), 0);
    PwToken token;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        switch (effect_of(&token)) {
        case EFFECT_NONE:
            break;
        case EFFECT_OPENS:
            around += level->operators + 1;
            if (around > NESTING_MAX || level == levels + NESTING_MAX - 1)
                return false;
            *++level = (Level){0};
            break;
        case EFFECT_CLOSES:
            if (level == levels)
                break;
            level--;
            around -= level->operators + 1;
            level->depth = larger(level->depth, larger(level[1].depth, level[1].deepest) + 1);
            break;
        case EFFECT_CHAINS:
            level->chains++;
            level->operators++;
            level->depth++;
            break;
        case EFFECT_DEEPENS:
            level->operators++;
            level->depth++;
            break;
        case EFFECT_SEPARATES:
            level->deepest = larger(level->deepest, level->depth);
            level->operators = level->depth = level->chains;
            break;
        }
        if (level->depth > NESTING_MAX || around + level->operators > NESTING_MAX)
            return false;
    }
    return true;
}

PwErr adv_tree_parse(AdvArena *arena, const char *text, PgQuery__ParseResult **ret_tree, const char **ret_why)
{
    if (!adv_tree_is_shallow(text)) {
        if (arena)
            *ret_why = "the statement nests too deeply";
        return PW_ERR_SYNTAX;
    }
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(text);
    PgQuery__ParseResult *tree =
        parsed.error ? NULL : pg_query__parse_result__unpack(NULL, parsed.parse_tree.len, (const uint8_t *)parsed.parse_tree.data);
    if (!tree && arena)
        *ret_why = parsed.error ? adv_arena_printf(arena, "%s at character %d", parsed.error->message, parsed.error->cursorpos)
                                : "the statement nests too deeply";
    pg_query_free_protobuf_parse_result(parsed);
    *ret_tree = tree;
    return tree ? PW_OK : PW_ERR_SYNTAX;
}

void adv_tree_free(PgQuery__ParseResult *tree)
{
    if (tree)
        pg_query__parse_result__free_unpacked(tree, NULL);
}
