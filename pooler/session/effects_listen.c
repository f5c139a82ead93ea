/* SPDX-License-Identifier: ISC */
/* effects_listen.c - LISTEN and UNLISTEN, behind their first word. */
#include "pooler/session/effects_priv.h"

/* A channel. How the server cuts a long name, and folds letters that are not ASCII, only it knows. */
static void channel(EffectsWalk *w, EffectKind kind)
{
    PwBuf name;
    bool plain = w->t.type == PW_TOK_QUOTED;
    for (size_t i = 0; w->t.type == PW_TOK_WORD && i < w->t.len; i++)
        plain = (uint8_t)w->t.text[i] < 0x80 && (i == 0 || plain);
    pw_buf_init(&name);
    if (effects_identifier(w, &name) && plain && pw_buf_unread(&name) > 0 && pw_buf_unread(&name) < EFFECTS_NAME_SIZE && effects_at_end(w)) {
        pw_buf_append_u8(&name, 0);
        effects_add(w, kind, (const char *)pw_buf_head(&name), NULL, false);
    } else {
        effects_add(w, EFFECT_UNKNOWN, NULL, NULL, false);
    }
    pw_buf_finish(&name);
}

void effects_listen(EffectsWalk *w)
{
    channel(w, EFFECT_LISTEN);
}

void effects_unlisten(EffectsWalk *w)
{
    if (w->t.type == PW_TOK_OP && w->t.len == 1 && w->t.text[0] == '*')
        effects_add(w, EFFECT_UNLISTEN, NULL, NULL, false);
    else
        channel(w, EFFECT_UNLISTEN);
}
