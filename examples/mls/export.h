/* export.h - mls export: a checkpoint's network for other programs */
#ifndef PROGRAM_EXPORT_H_INCLUDED
#define PROGRAM_EXPORT_H_INCLUDED

#include "checkpoint.h"
#include "npz.h"
#include "onnx.h"
#include "safetensors.h"

typedef bool write_function(const tensors *list, const settings *about, const char *path,
                            failure *f);

/* A kind of file and the option that asks for one. */
static const struct {
    size_t option;
    write_function *write;
} writers[] = {
    {OPTION(safetensors), write_safetensors},
    {OPTION(npz), write_npz},
    {OPTION(npy), write_npy},
    {OPTION(onnx), write_onnx},
};

static bool export_files(const run *r, const tensors *list, int *written, failure *f)
{
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        const char *path;
        memcpy(&path, (const char *)&r->job->o + writers[i].option, sizeof path);
        if (!path) continue;
        if (!writers[i].write(list, &r->job->from, path, f)) return false;
        say(stdout, "%s: %zu tensors", path, list->count);
        ++*written;
    }
    return *written || fail(f, 2, "export as what? See mls help export");
}

static bool export(const job *j, failure *f)
{
    run r;
    tensors list = {0};
    const options *o = &j->o;
    int files = 0;
    bool good = open_run(&r, j, o->format, o->seed, f) && load_run(&r, o->checkpoint, EVAL, f) &&
                list_tensors(&list, &r.net, f) && export_files(&r, &list, &files, f);
    if (good) {
        printf("result files=%d tensors=%zu weights=%lld digest=%016llx\n", files, list.count,
               (long long)r.plan.weights, (unsigned long long)mls_net_digest(&r.net));
    }
    free_tensors(&list);
    close_run(&r);
    return good;
}

#endif /* PROGRAM_EXPORT_H_INCLUDED */
