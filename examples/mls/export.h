/* export.h - mls export: a checkpoint's network for other programs */
#ifndef PROGRAM_EXPORT_H_INCLUDED
#define PROGRAM_EXPORT_H_INCLUDED

#include "opened.h"

#include "c_header.h"
#include "npz.h"
#include "onnx_int8.h"
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
    {OPTION(onnx_int8), write_onnx_int8},
    {OPTION(c_header), write_c_header},
};

/* What this program takes in place of the checkpoint; it says of itself what that one did. */
static bool write_model(opened *o, int packed, const char *path, failure *f)
{
    return mls_net_model_save(&o->net, path, packed, o->note, o->note_size) == MLS_OK ||
           fail(f, 2, "%s: %s", path, o->net.text);
}

static bool export_files(const options *asked, opened *o, const tensors *list, int *written,
                         failure *f)
{
    const char *const models[] = {asked->slim, asked->packed};
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        const char *path;
        memcpy(&path, (const char *)asked + writers[i].option, sizeof path);
        if (!path) continue;
        if (!writers[i].write(list, &o->about, path, f)) return false;
        say(stdout, "%s: %zu tensors", path, list->count);
        ++*written;
    }
    for (int packed = 0; packed < 2; packed++) {
        if (!models[packed]) continue;
        if (!write_model(o, packed, models[packed], f)) return false;
        say(stdout, "%s: a model of %zu bytes", models[packed],
            mls_net_model_size(&o->net, packed, o->note_size));
        ++*written;
    }
    return *written || fail(f, 2, "export as what? See mls help export");
}

static bool export(const job *j, failure *f)
{
    static opened o;
    tensors list = {0};
    int files = 0;
    bool good = open_checkpoint(&o, j->o.checkpoint, 1, f) && list_tensors(&list, &o.net, f) &&
                export_files(&j->o, &o, &list, &files, f);
    if (good) {
        printf("result files=%d tensors=%zu weights=%lld\n", files, list.count,
               (long long)o.plan.weights);
    }
    free_tensors(&list);
    close_opened(&o);
    return good;
}

#endif /* PROGRAM_EXPORT_H_INCLUDED */
