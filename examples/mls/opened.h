/* opened.h - the network that a checkpoint describes, of whatever program: it needs no other source */
#ifndef PROGRAM_OPENED_H_INCLUDED
#define PROGRAM_OPENED_H_INCLUDED

#include "checkpoint.h"

typedef struct opened {
    mls_net net;
    mls_node *nodes;
    mls_plan plan;
    void *arena;
    settings about; /* what this program's checkpoints say of themselves; else nothing */
    void *note;     /* the same, or another program's, as it is there */
    size_t note_size;
} opened;

static void close_opened(opened *o)
{
    free(o->arena);
    free(o->nodes);
    free(o->note);
    free_settings(&o->about);
}

static bool open_bytes(opened *o, const void *bytes, size_t size, int32_t batch, const char *path,
                       failure *f)
{
    char text[256];
    mls_checkpoint look;
    mls_net_desc desc = {.batch = batch, .inference = 1};
    if (mls_checkpoint_look(bytes, size, &look, text, sizeof text) != MLS_OK) {
        return fail(f, 2, "%s: %s", path, text);
    }
    if (!read_lines(&o->about, look.note, look.note_size)) free_settings(&o->about);
    const int32_t nodes = look.nodes ? look.nodes : 1;
    o->nodes = malloc((size_t)nodes * sizeof *o->nodes);
    o->note = malloc(look.note_size + 1), o->note_size = look.note_size;
    if (!o->nodes || !o->note) return fail(f, 1, "no memory for %s", path);
    memcpy(o->note, look.note, look.note_size);
    if (mls_net_open(&o->net, &desc, o->nodes, nodes, bytes, size) != MLS_OK ||
        mls_net_plan(&o->net, &o->plan) != MLS_OK) {
        return fail(f, 2, "%s: %s", path, o->net.text);
    }
    o->arena = malloc(o->plan.arena);
    if (!o->arena) return fail(f, 1, "no memory: %s needs %zu bytes", path, o->plan.arena);
    return (mls_net_bind(&o->net, o->arena, o->plan.arena) == MLS_OK &&
            mls_net_checkpoint_read(&o->net, bytes, size, NULL, 0) == MLS_OK) ||
           fail(f, 2, "%s: %s", path, o->net.text);
}

/* To evaluate so many pictures at once; for close_opened, also after a failure. */
static bool open_checkpoint(opened *o, const char *path, int32_t batch, failure *f)
{
    char text[PATH_SIZE + 256];
    void *bytes;
    size_t size;
    memset(o, 0, sizeof *o);
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK) {
        return fail(f, 2, "%s", text);
    }
    bool good = open_bytes(o, bytes, size, batch, path, f);
    mls_file_free(bytes);
    return good;
}

#endif /* PROGRAM_OPENED_H_INCLUDED */
