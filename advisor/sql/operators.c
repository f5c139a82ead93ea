/* SPDX-License-Identifier: ISC */
/* operators.c - comparisons that are no = and <: with what is inside of a value (GIN), with ranges and shapes (GiST), with networks. */
#include "advisor/sql/analyse_priv.h"

/* Operators that the operator classes of GIN serve, with the column on the left. */
static bool is_gin_operator(const char *op)
{
    static const char *const ops[] = {"@>", "&&", "?", "?|", "?&", "@@", "@?"};
    for (size_t i = 0; i < PW_ARRAY_LEN(ops); i++)
        if (strcmp(ops[i], op) == 0)
            return true;
    return false;
}

static bool has_gin_type(const Analyser *a, const KeyRef *key)
{
    const AdvColumn *c = adv_column(a->facts->rels[key->rel].table, key->column);
    return strcmp(key->type, "tsvector") == 0 || (!key->expr && (c->category == 'A' || strcmp(c->base_type, "jsonb") == 0));
}

/* Similar words (pg_trgm): the trigrams of both are compared. */
static bool is_similarity(const char *op)
{
    static const char *const ops[] = {"%", "<%", "%>", "<<%", "%>>"};
    for (size_t i = 0; i < PW_ARRAY_LEN(ops); i++)
        if (strcmp(ops[i], op) == 0)
            return true;
    return false;
}

/* Three characters in a row that are no wildcards: from these trigrams are made. */
bool adv_has_trigram(const AdvValue *value, const char *special)
{
    int run = 0;
    if (value->kind == ADV_VALUE_PARAM)
        return true;
    for (const char *p = value->kind == ADV_VALUE_LITERAL && value->text ? value->text : ""; *p; p++) {
        run = strchr(special, *p) ? 0 : run + 1;
        if (run == 3)
            return true;
    }
    return false;
}

/* FROM t, plainto_tsquery('...') q WHERE t.words @@ q: what a function in FROM returns is a value like another. */
static bool is_value(const Analyser *a, const Scope *scope, const Node *node)
{
    if (!adv_has_column(node))
        return true;
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields == 0)
        return false;
    const AdvRel *rel = adv_item_named(a, scope, adv_string_value(node->column_ref->fields[0]));
    return rel && rel->function;
}

/* x @> y, tsvector @@ query, text ~ pattern: no b-tree, but GIN. */
bool adv_gin_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated)
{
    KeyRef key;
    bool regex = strcmp(op, "~") == 0 || strcmp(op, "~*") == 0;
    if (negated || (!regex && !is_gin_operator(op)) || !is_value(a, scope, right) ||
        (!(adv_as_key(a, scope, left, &key) && (regex || has_gin_type(a, &key))) && (regex || !adv_as_document(a, scope, left, &key))))
        return false;
    adv_walk_expr(a, scope, right);
    AdvPred *pred = adv_add_pred(a, regex ? ADV_PRED_INFIX : ADV_PRED_CONTAINS, &key);
    pred->op = adv_arena_strdup(a->arena, op);
    pred->lo = adv_as_value(a, right, NULL);
    if (regex) {
        pred->why = "a regular expression";
        pred->trigram = adv_has_trigram(&pred->lo, "^$.*+?()[]{}|\\");
    }
    return true;
}

/* name % 'smiht', 'smiht' <% name */
bool adv_similarity_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated)
{
    KeyRef key;
    const Node *column = adv_has_column(left) ? left : right, *value = adv_has_column(left) ? right : left;
    if (negated || !is_similarity(op) || adv_has_column(value) || !adv_as_key(a, scope, column, &key))
        return false;
    adv_walk_expr(a, scope, value);
    AdvPred *pred = adv_add_pred(a, ADV_PRED_INFIX, &key);
    pred->op = adv_arena_strdup(a->arena, op);
    pred->lo = adv_as_value(a, value, NULL);
    pred->why = "a comparison of how similar texts are";
    pred->trigram = true;
    return true;
}

/* Ranges and shapes: their default operator classes of GiST. Lines and paths have none. */
static bool has_gist_type(const Analyser *a, const KeyRef *key)
{
    static const char *const shapes[] = {"point", "box", "polygon", "circle", "cube"};
    const AdvColumn *c = adv_column(a->facts->rels[key->rel].table, key->column);
    for (size_t i = 0; i < PW_ARRAY_LEN(shapes); i++)
        if (strcmp(key->type, shapes[i]) == 0)
            return true;
    return !key->expr && c->category == 'R';
}

static bool is_gist_operator(const char *op)
{
    static const char *const ops[] = {"&&", "@>", "<@", "<<", ">>", "&<", "&>", "-|-", "~=", "<<|", "|>>", "&<|", "|&>"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(ops[i], op) == 0)
            return true;
    return false;
}

/* during && x, x <@ during, place <@ box: with the column on either side. */
bool adv_gist_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated)
{
    KeyRef key;
    const Node *column = adv_has_column(left) ? left : right, *value = adv_has_column(left) ? right : left;
    if (negated || !is_gist_operator(op) || adv_has_column(value) || !adv_as_key(a, scope, column, &key) || !has_gist_type(a, &key))
        return false;
    adv_walk_expr(a, scope, value);
    AdvPred *pred = adv_add_pred(a, ADV_PRED_CONTAINS, &key);
    pred->op = adv_arena_strdup(a->arena, op);
    pred->gist = true;
    pred->lo = adv_as_value(a, value, NULL);
    return true;
}

/* ip << network, ip <<= network, network >> ip: the server makes a range of it. */
bool adv_network_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated)
{
    KeyRef key;
    bool under = strcmp(op, "<<") == 0 || strcmp(op, "<<=") == 0, over = strcmp(op, ">>") == 0 || strcmp(op, ">>=") == 0;
    const Node *column = under ? left : right, *value = under ? right : left;
    if (negated || (!under && !over) || adv_has_column(value) || !adv_as_key(a, scope, column, &key) || key.expr)
        return false;
    const AdvColumn *c = adv_column(a->facts->rels[key.rel].table, key.column);
    if (strcmp(c->base_type, "inet") != 0 && strcmp(c->base_type, "cidr") != 0)
        return false;
    adv_walk_expr(a, scope, value);
    AdvPred *pred = adv_add_pred(a, ADV_PRED_RANGE, &key);
    pred->has_lo = pred->has_hi = true; /* bounds that the text does not tell */
    return true;
}
