/* SPDX-License-Identifier: ISC */
/* What a text may do to its session, and tells others: stmt_class, effects, state, notifies. The first byte chooses standard_conforming_strings and whether
 * the rest of the data is taken for a Bind too. Whatever the text: nothing is read past it, and what would be
 * replayed has only literals and quoted names that are closed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/session/notifies.h"
#include "pooler/session/state.h"
#include "poolwise/lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool never(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return false;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Reads the same with both settings of standard_conforming_strings, and has no open end. */
static void check_sql(const Settings *settings)
{
    PwBuf sql;
    pw_buf_init(&sql);
    settings_sql_before(NULL, settings, &sql);
    settings_sql_after(NULL, settings, &sql);
    settings_sql_resets(settings, NULL, &sql);
    const char *text = (const char *)pw_buf_head(&sql);
    size_t n = pw_buf_unread(&sql);
    if (n) {
        PwLexer a = pw_lexer(text, n, 0), b = pw_lexer(text, n, PW_LEX_BACKSLASH);
        PwToken s, t;
        do {
            pw_lex_next(&a, &s);
            pw_lex_next(&b, &t);
            check(s.type == t.type && s.len == t.len && s.text == t.text && !s.open);
        } while (s.type != PW_TOK_END);
    }
    pw_buf_finish(&sql);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
    *(size_t *)arg += strlen(channel) + strlen(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tags[] = {"SET", "RESET", "SAVEPOINT", "ROLLBACK", "RELEASE", "SELECT 1", "DISCARD ALL", "COMMIT",
                                       "LISTEN", "UNLISTEN"};
    if (size == 0)
        return 0;
    unsigned flags = data[0] & 1 ? PW_LEX_BACKSLASH : 0;
    const char *sql = (const char *)data + 1;
    size_t len = strnlen(sql, size - 1);
    EffectsBind bind = {data + 1, size - 1};
    unsigned class = stmt_classify(sql, len, flags, true);
    check(class & CLASS_SEEN);
    Effects *e = effects_parse(sql, len, flags, data[0] & 2 ? &bind : NULL);
    SessionState st;
    session_state_init(&st);
    st.on = true;
    session_state_sent(&st, class, e);
    for (unsigned i = 0; i < e->n; i++) { /* each effect with a tag that fits, in its place */
        const Effect *at = &e->list[i];
        st.statement = at->statement;
        for (size_t k = 0; k < sizeof(tags) / sizeof(tags[0]); k++)
            if (effect_fits_tag(at, tags[k])) {
                session_state_complete(&st, e, tags[k], never, NULL);
                break;
            }
    }
    check_sql(st.working);
    session_state_ready(&st, 'I');
    check(!st.dirty);
    check_sql(st.committed);
    Setting channel;
    for (size_t pos = 0; settings_next(st.channels, &pos, &channel);)
        check(*channel.name && strlen(channel.name) < EFFECTS_NAME_SIZE);
    size_t told = 0;
    notifies_each(sql, len, flags, data[0] & 2 ? &bind : NULL, on_notify, &told);
    session_state_finish(&st);
    effects_unref(e);
    return 0;
}
