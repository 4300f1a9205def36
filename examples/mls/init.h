/* init.h - first weights of a run from a checkpoint: what fits by name and shape */
#ifndef PROGRAM_INIT_H_INCLUDED
#define PROGRAM_INIT_H_INCLUDED

#include "opened.h"
#include "tensors.h"

/* The tensor of that name and shape; null: there is none. */
static const tensor *fitting_tensor(const tensors *list, const tensor *like)
{
    for (size_t i = 0; i < list->count; i++) {
        const tensor *t = &list->of[i];
        if (strcmp(t->name, like->name) != 0 || t->own.rank != like->own.rank) continue;
        return memcmp(t->own.dims, like->own.dims, sizeof t->own.dims) == 0 ? t : NULL;
    }
    return NULL;
}

static bool take_weights(run *r, const tensors *from, const char *path, failure *f)
{
    tensors to = {0};
    size_t taken = 0;
    char rest[200] = "";
    if (!list_tensors(&to, &r->net, f)) return free_tensors(&to), false;
    for (size_t i = 0; i < to.count; i++) {
        const tensor *t = fitting_tensor(from, &to.of[i]);
        size_t used = strlen(rest);
        if (t) memcpy(to.of[i].own.values, t->own.values, t->own.count * sizeof(float)), taken++;
        if (!t) snprintf(rest + used, sizeof rest - used, " %s", to.of[i].name);
    }
    if (strlen(rest) == sizeof rest - 1) memcpy(rest + sizeof rest - 4, "...", 3);
    if (taken) {
        say(stdout, "%zu of %zu tensors are from %s%s%s", taken, to.count, path,
            rest[0] ? "; not:" : "", rest);
    }
    free_tensors(&to);
    return taken ||
           fail(f, 2, "--init %s: none of its tensors has a name and shape of this network", path);
}

/* What --init says, if anything. */
static bool first_weights(run *r, failure *f)
{
    const char *path = r->job->o.init;
    tensors from = {0};
    static opened o;
    if (!path) return true;
    bool good = open_checkpoint(&o, path, 1, f) && list_tensors(&from, &o.net, f) &&
                take_weights(r, &from, path, f);
    free_tensors(&from);
    close_opened(&o);
    return good;
}

#endif /* PROGRAM_INIT_H_INCLUDED */
