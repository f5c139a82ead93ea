/* SPDX-License-Identifier: ISC */
#include "advisor/source/notes.h"

#include <stdlib.h>
#include <string.h>

#include "advisor/source/utf8.h"
#include "poolwise/mem.h"

void adv_notes_add(AdvNotes *notes, const char *text)
{
    PwBuf utf8;
    size_t len = strlen(text);
    if (notes->n == ADV_NOTES_MAX) {
        notes->more++;
        return;
    }
    pw_buf_init(&utf8);
    adv_append_utf8(&utf8, text, len < ADV_NOTE_LEN_MAX / 3 ? len : ADV_NOTE_LEN_MAX / 3); /* it may become three times as long */
    notes->items[notes->n++] = pw_xstrndup((const char *)utf8.data, utf8.len);
    pw_buf_finish(&utf8);
}

void adv_notes_append(AdvNotes *into, const AdvNotes *from)
{
    for (size_t i = 0; i < from->n; i++)
        adv_notes_add(into, from->items[i]);
    into->more = from->more > INT64_MAX - into->more ? INT64_MAX : into->more + from->more;
}

void adv_notes_finish(AdvNotes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        free(notes->items[i]);
    *notes = (AdvNotes){0};
}
