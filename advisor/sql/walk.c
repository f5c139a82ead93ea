/* SPDX-License-Identifier: ISC */
#include "advisor/sql/analyse_priv.h"

/* The tree has some two hundred node types. Where none of them is special, children are found through the
 * message descriptors, so that no expression can hide a column from us. */
void adv_pb_children(const ProtobufCMessage *message, ChildFn fn, void *arg)
{
    const unsigned char *base = (const unsigned char *)message;
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n;
            const ProtobufCMessage *const *items;
            memcpy(&n, base + field->quantifier_offset, sizeof(n));
            memcpy(&items, base + field->offset, sizeof(items));
            for (size_t k = 0; k < n; k++)
                if (items[k])
                    fn(arg, items[k]);
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            int which;
            memcpy(&which, base + field->quantifier_offset, sizeof(which));
            if (which != (int)field->id)
                continue;
        }
        const ProtobufCMessage *child;
        memcpy(&child, base + field->offset, sizeof(child));
        if (child)
            fn(arg, child);
    }
}

typedef struct HasColumn {
    bool found;
    int depth;
} HasColumn;

static void has_column_child(void *arg, const ProtobufCMessage *child)
{
    HasColumn *state = arg;
    if (state->found || state->depth > MAX_EXPR_DEPTH)
        return;
    if (child->descriptor == &pg_query__column_ref__descriptor || child->descriptor == &pg_query__sub_link__descriptor) {
        state->found = true;
        return;
    }
    state->depth++;
    adv_pb_children(child, has_column_child, state);
    state->depth--;
}

bool adv_has_column(const Node *node)
{
    HasColumn state = {false, 0};
    if (node)
        has_column_child(&state, &node->base);
    return state.found;
}

typedef struct Walk {
    Analyser *a;
    Scope *scope;
} Walk;

/* Arguments that must be one of a few words: any other value is refused when the server folds constants. */
static void note_hints(Analyser *a, const PgQuery__FuncCall *call, const char *name)
{
    static const struct {
        const char *name;
        size_t argument, n_arguments; /* n_arguments 0: any number */
        const char *hint;
    } rows[] = {
        {"extract", 0, 0, "'year'"},      {"date_part", 0, 0, "'year'"},      {"date_trunc", 0, 0, "'month'"},
        {"to_char", 1, 0, "'YYYY-MM'"},   {"to_date", 0, 2, "'2000-01'"},     {"to_date", 1, 0, "'YYYY-MM'"},
        {"to_timestamp", 0, 2, "'2000-01'"}, {"to_timestamp", 1, 0, "'YYYY-MM'"}, {"timezone", 0, 0, "'UTC'"},
        {"to_tsvector", 0, 2, "'simple'"}, {"to_tsquery", 0, 2, "'simple'"},  {"plainto_tsquery", 0, 2, "'simple'"},
        {"phraseto_tsquery", 0, 2, "'simple'"}, {"websearch_to_tsquery", 0, 2, "'simple'"},
        {"make_date", 0, 0, "2000"},      {"make_date", 1, 0, "1"},           {"make_date", 2, 0, "1"},
        {"percentile_cont", 0, 0, "0.5"}, {"percentile_disc", 0, 0, "0.5"},   {"jsonb_path_exists", 1, 0, "'$.a'"},
        {"jsonb_path_query", 1, 0, "'$.a'"}, {"jsonb_path_match", 1, 0, "'$.a'"}, {"bernoulli", 0, 0, "10"},
        {"system", 0, 0, "10"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) != 0 || rows[i].argument >= call->n_args ||
            (rows[i].n_arguments && rows[i].n_arguments != call->n_args))
            continue;
        AdvParam context = {.rel = -1, .hint = rows[i].hint};
        adv_note_param(a, call->args[rows[i].argument], &context);
    }
}

static void walk_child(void *arg, const ProtobufCMessage *child)
{
    Walk *walk = arg;
    Analyser *a = walk->a;
    if (a->expr_depth > MAX_EXPR_DEPTH)
        return;
    a->expr_depth++;
    const ProtobufCMessageDescriptor *type = child->descriptor;
    if (type == &pg_query__column_ref__descriptor) {
        const PgQuery__ColumnRef *ref = (const PgQuery__ColumnRef *)child;
        int rel, column;
        if (!adv_resolve(a, walk->scope, ref, &rel, &column) && ref->n_fields > 0 && ref->fields[ref->n_fields - 1] &&
            ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR)
            adv_star(a, walk->scope, ref, NULL, NULL);
    } else if (type == &pg_query__param_ref__descriptor) {
        Node node = PG_QUERY__NODE__INIT;
        PgQuery__ParamRef param = *(const PgQuery__ParamRef *)child;
        node.node_case = PG_QUERY__NODE__NODE_PARAM_REF;
        node.param_ref = &param;
        AdvParam context = {.rel = -1};
        adv_note_param(a, &node, &context);
    } else if (type == &pg_query__select_stmt__descriptor) {
        adv_analyse_select(a, (const PgQuery__SelectStmt *)child, walk->scope, NULL, NULL, NULL);
    } else if (type == &pg_query__type_cast__descriptor) {
        const PgQuery__TypeCast *cast = (const PgQuery__TypeCast *)child;
        AdvParam context = {.rel = -1, .type = adv_arena_strdup(a->arena, adv_type_name(cast->type_name))};
        if (cast->arg && cast->arg->node_case == PG_QUERY__NODE__NODE_PARAM_REF)
            adv_note_param(a, cast->arg, &context);
        else if (cast->arg)
            walk_child(walk, &cast->arg->base);
    } else if (type == &pg_query__func_call__descriptor) {
        const PgQuery__FuncCall *call = (const PgQuery__FuncCall *)child;
        if (call->n_funcname > 0)
            note_hints(a, call, adv_string_value(call->funcname[call->n_funcname - 1]));
        adv_pb_children(child, walk_child, walk);
    } else {
        adv_pb_children(child, walk_child, walk);
    }
    a->expr_depth--;
}

void adv_walk_expr(Analyser *a, Scope *scope, const Node *node)
{
    Walk walk = {a, scope};
    if (node)
        walk_child(&walk, &node->base);
}
