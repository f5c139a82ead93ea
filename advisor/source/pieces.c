/* SPDX-License-Identifier: ISC */
#include "advisor/source/pieces.h"

#include "advisor/source/prefix.h"
#include "advisor/source/stderr_log.h"
#include "advisor/source/words.h"

#define MESSAGE_MAX ((size_t)64 * 1024 * 1024)

static AdvSlice first_line(AdvSlice s)
{
    const char *newline = s.n ? memchr(s.p, '\n', s.n) : NULL;
    return (AdvSlice){s.p, newline ? (size_t)(newline - s.p) : s.n};
}

static AdvPart part_of(AdvSlice text, size_t *ret_label)
{
    size_t at;
    AdvSlice line = first_line(text);
    return line.n == 0 || line.p[0] == '\t' ? ADV_PART_NONE : adv_find_part(line.p, line.n, ret_label, &at);
}

bool adv_piece_starts(AdvSlice text)
{
    size_t label;
    AdvPart part = part_of(text, &label);
    return part <= ADV_PART_MESSAGE || (part == ADV_PART_NONE && !adv_slice_begins(text, "\t", 1));
}

static bool equal(AdvSlice a, AdvSlice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The server writes all parts of a message with one time. When records come in another order (gcloud gives the latest first), a DETAIL does not belong to what happens to
 * stand in front of it. */
static bool is_of_this_message(const AdvReader *r, AdvSlice text, size_t label)
{
    AdvSlice open = {(const char *)r->pieces.data, r->pieces.len};
    AdvEntry own = {0}, other = {0};
    size_t open_label;
    if (open.n == 0 || part_of(open, &open_label) > ADV_PART_MESSAGE)
        return false;
    adv_prefix_guess((AdvSlice){open.p, open_label}, &own);
    adv_prefix_guess((AdvSlice){text.p, label}, &other);
    return equal(own.time, other.time) && equal(own.pid, other.pid);
}

void adv_pieces_flush(AdvReader *r)
{
    if (r->pieces.len > 0)
        adv_stderr_read(r, (const char *)r->pieces.data, r->pieces.len);
    r->pieces.off = r->pieces.len = 0;
    r->piece_open = false;
}

static void append(AdvReader *r, AdvSlice text, bool on_new_line)
{
    if (on_new_line)
        pw_buf_append_u8(&r->pieces, '\n');
    pw_buf_append(&r->pieces, text.p, text.n);
    if (r->pieces.len > MESSAGE_MAX)
        adv_pieces_flush(r);
}

/* Several lines at once, of which the first may belong to something else. */
static bool has_message(AdvSlice text)
{
    AdvSlice line = first_line(text);
    return line.n < text.n && adv_form_stderr.is(line.p + line.n + 1, text.n - line.n - 1);
}

/* Does the piece go to what is collected? Whatever is there is flushed when the piece begins something new. */
static bool is_wanted(AdvReader *r, AdvSlice text)
{
    size_t label = 0;
    bool belongs = false;
    switch (part_of(text, &label)) {
    case ADV_PART_LOG:
    case ADV_PART_ERROR:
    case ADV_PART_MESSAGE:
        adv_pieces_flush(r);
        return true;
    case ADV_PART_DETAIL:
    case ADV_PART_STATEMENT:
    case ADV_PART_OTHER:
        belongs = is_of_this_message(r, text, label);
        break;
    case ADV_PART_NONE: /* further lines have a tab in front; others are not the server's */
        belongs = r->pieces.len > 0 && adv_slice_begins(text, "\t", 1);
        break;
    }
    if (!belongs && label > 0)
        adv_pieces_flush(r);
    if (belongs || !has_message(text))
        return belongs;
    adv_pieces_flush(r);
    return true;
}

void adv_piece(AdvReader *r, AdvSlice text, bool goes_on)
{
    if (text.n > 0 && text.p[text.n - 1] == '\n')
        text.n--;
    bool open = r->piece_open;
    if (!open && !is_wanted(r, text))
        return;
    r->piece_open = goes_on;
    append(r, text, !open && r->pieces.len > 0);
}
