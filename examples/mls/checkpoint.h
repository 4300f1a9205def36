/* checkpoint.h - runs in checkpoints */
#ifndef PROGRAM_CHECKPOINT_H_INCLUDED
#define PROGRAM_CHECKPOINT_H_INCLUDED

#include "run.h"

static bool save_run_as(run *r, const char *path, failure *f)
{
    settings s = {0};
    options o = one_run(r->job, r->spec, r->seed);
    describe(r->job, &o, &s);
    put_progress(&s, &r->at);
    char *note = write_settings(&s, false);
    free_settings(&s);
    if (!note) return fail(f, 1, "no memory to save %s", path);
    bool good = mls_net_save(&r->net, path, note, strlen(note)) == MLS_OK;
    free(note);
    return good || fail(f, 2, "%s", r->net.text);
}

static bool save_run(run *r, const char *name, failure *f)
{
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    return save_run_as(r, path, f);
}

/* The note before format 2: a 1, these settings of 48 bytes, and the words of progress. */
#define OLD_SETTINGS 15
#define OLD_SIZE     (1 + OLD_SETTINGS * 48 + 8 * EARLY_PROGRESS)
static void read_old_note(settings *to, const uint8_t *note)
{
    static const char *const keys[OLD_SETTINGS] = {
        "model",        "width",      "weight_format", "activation_format",
        "error_format", "seed",       "batch",         "lr",
        "schedule",     "warmup",     "epochs",        "classes",
        "train_count",  "test_count", "train_hash"};
    uint64_t word[EARLY_PROGRESS] = {0};
    progress p = {0};
    for (int i = 0; i < OLD_SETTINGS; i++)
        put(to, keys[i], "%.47s", (const char *)note + 1 + 48 * i);
    note += 1 + OLD_SETTINGS * 48;
    for (int i = 0; i < 8 * EARLY_PROGRESS; i++) word[i / 8] |= (uint64_t)*note++ << (i % 8 * 8);
    memcpy(&p, word, sizeof word);
    p.best_epoch = p.epoch;
    put_progress(to, &p);
}

/* What said the formats of each role in a line of its own says them all in one. */
static void join_formats(settings *to)
{
    const char *w = get(to, "weight_format"), *a = get(to, "activation_format");
    const char *e = get(to, "error_format");
    char joined[MLS_FORMATS_TEXT], whole[MLS_FORMATS_TEXT];
    mls_formats formats, same;
    if (!w || !a || !e || get(to, "formats")) return;
    snprintf(joined, sizeof joined, "w=%s a=%s e=%s", w, a, e);
    if (mls_formats_parse(&formats, joined, NULL, 0) != MLS_OK) return;
    mls_formats_text(formats, whole, sizeof whole);
    put(to, "formats", "%s", whole);
    /* E,M:GROUPING:Eg,Mg says it all where the roles round as they do by default */
    snprintf(joined, sizeof joined, "%s", a);
    char *rest = strstr(joined, ":nearest");
    if (rest) *rest = 0;
    if (mls_formats_parse(&same, joined, NULL, 0) != MLS_OK ||
        memcmp(&same, &formats, sizeof same) != 0) {
        snprintf(joined, sizeof joined, "%s", whole);
    }
    put(to, "format", "%s", joined);
}

/* A checkpoint's bytes, for mls_file_free, and what it says. */
static bool load_file(const char *path, void **bytes, size_t *size, mls_content *content,
                      settings *to, failure *f)
{
    char text[PATH_SIZE + 256];
    mls_checkpoint about;
    if (is_directory(path)) {
        return fail(f, 2, "%s is a folder: want %s/best.mlsck or %s/last.mlsck", path, path, path);
    }
    if (mls_file_load(path, bytes, size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    if (mls_checkpoint_look(*bytes, *size, &about, text, sizeof text) != MLS_OK) {
        fail(f, 2, "%s: %s", path, text);
    } else {
        const uint8_t *note = about.note;
        *content = about.content;
        if (about.note_size == OLD_SIZE && note[0] == 1) {
            read_old_note(to, note);
            join_formats(to);
        } else if (!read_lines(to, (const char *)note, about.note_size)) {
            to->count = 0;
        }
        if (get(to, "model") && get(to, "seed")) return true;
        fail(f, 2, "%s: a checkpoint of another program", path);
    }
    free_settings(to);
    mls_file_free(*bytes);
    return false;
}

/* The checkpoint must be of this run, or to be tested. */
static bool load_run(run *r, const char *path, int use, failure *f)
{
    settings there = {0};
    mls_content content;
    void *bytes;
    size_t size;
    options o = one_run(r->job, use == EVAL ? r->job->o.format : r->spec, r->seed);
    if (!load_file(path, &bytes, &size, &content, &there, f)) return false;
    bool good = same_run(r->job, &o, &there, path, use, f);
    if (good && use != EVAL && content != MLS_CONTENT_TRAINING) {
        good = fail(f, 2, "%s: a model, without what training goes on from: --init takes it", path);
    }
    if (good && (!get_progress(&r->at, &there) || r->at.epoch > o.epochs)) {
        good = fail(f, 2, "%s: damaged: it does not say how far it is", path);
    }
    if (good && mls_net_checkpoint_read(&r->net, bytes, size, NULL, 0) != MLS_OK) {
        good = fail(f, 2, "%s: %s", path, r->net.text);
    }
    free_settings(&there);
    mls_file_free(bytes);
    return good;
}

/* The checkpoint that is furthest on goes to path, which is empty if there is none. */
static bool newest_checkpoint(const char *folder, char path[PATH_SIZE + 16], failure *f)
{
    static const char *const names[] = {"last.mlsck", "best.mlsck"};
    int64_t most = -1;
    path[0] = 0;
    for (int i = 0; i < 2; i++) {
        char name[PATH_SIZE + 16], text[PATH_SIZE + 256];
        mls_checkpoint about;
        void *bytes;
        size_t size;
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        if (!is_file(name)) continue;
        if (mls_file_load(name, &bytes, &size, text, sizeof text) != MLS_OK) {
            return fail(f, 2, "%s", text);
        }
        bool good = mls_checkpoint_look(bytes, size, &about, text, sizeof text) == MLS_OK;
        mls_file_free(bytes);
        if (!good) return fail(f, 2, "%s: %s", name, text);
        if (about.step > most) most = about.step, memcpy(path, name, sizeof name);
    }
    return true;
}

#endif /* PROGRAM_CHECKPOINT_H_INCLUDED */
