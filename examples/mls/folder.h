/* folder.h - the folder of a run, and options from it or from a checkpoint */
#ifndef PROGRAM_FOLDER_H_INCLUDED
#define PROGRAM_FOLDER_H_INCLUDED

#include "checkpoint.h"

static bool make_folder(const char *name, failure *f)
{
    char path[PATH_SIZE + 2];
    size_t length = strlen(name);
    if (length > PATH_SIZE - 64) return fail(f, 2, "--out: the name is too long");
    for (size_t i = 1; i <= length; i++) {
        if (name[i] && !is_separator(name[i])) continue;
        snprintf(path, sizeof path, "%.*s", (int)i, name);
        if (!make_directory(path)) {
            return fail(f, 2, "--out: cannot create %s: %s", path, strerror(errno));
        }
    }
    snprintf(path, sizeof path, "%s/.", name); /* a file is no folder */
    if (can_write(path)) return true;
    return fail(f, 2, "--out: cannot write to %s: %s", name, strerror(errno));
}

static bool in_folder(const char *file, const char *folder)
{
    char path[PATH_SIZE];
    size_t length = strlen(file);
    while (length && !is_separator(file[length - 1])) length--;
    snprintf(path, sizeof path, "%.*s.", (int)length, file);
    return same_directory(path, folder);
}

/* A folder belongs to the process that trains into it, for as long as that lives. */
static bool lock_folder(const char *folder, failure *f)
{
    char path[PATH_SIZE + 16];
    long holder;
    snprintf(path, sizeof path, "%s/lock", folder);
    if (hold_lock(path, &holder)) return true;
    if (holder == 0) return fail(f, 2, "--out: %s: %s", path, strerror(errno));
    if (holder < 0) return fail(f, 2, "--out: another run is at work in %s", folder);
    return fail(f, 2, "--out: another run, process %ld, is at work in %s", holder, folder);
}

/* What a folder's config.json says; nothing if there is none, or none of this program. */
static bool read_config(const char *folder, settings *to, failure *f)
{
    char path[PATH_SIZE + 16], text[PATH_SIZE + 256];
    void *bytes;
    size_t size;
    growing t = {0};
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (!is_file(path)) return true;
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    append(&t, bytes, size); /* ends it */
    mls_file_free(bytes);
    bool good = t.at && read_object(to, t.at) && get(to, "model") && get(to, "seed");
    if (!good) free_settings(to);
    free(t.at);
    join_formats(to);
    return true;
}

/* The first of a run's files in a folder; null: none. A link to a device is none. */
static const char *file_of_a_run(const char *folder)
{
    static const char *const names[] = {"last.mlsck", "best.mlsck", "log.jsonl", "config.json",
                                        "runs.csv",   "curves.dat", "plot.gp",   "plot.png"};
    char path[PATH_SIZE + 16];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (is_file(path)) return names[i];
    }
    return NULL;
}

/* Never overwrites what is of another run; a run is what its config.json says. */
static bool claim_folder(const job *j, const options *o, const char *folder, failure *f)
{
    char path[PATH_SIZE + 16], word[PATH_SIZE + 8];
    const char *resume = j->o.resume, *file;
    settings there = {0};
    bool good;
    if (!make_folder(folder, f) || !lock_folder(folder, f)) return false;
    file = file_of_a_run(folder);
    if (!file) return true;
    if (!read_config(folder, &there, f)) return false;
    if (resume && there.count) {
        snprintf(path, sizeof path, "%s/config.json", folder);
        bool own = is_directory(resume) || in_folder(resume, folder);
        good = same_run(j, o, &there, path, own ? RESUME | GROWS : RESUME, f);
    } else if (resume && in_folder(resume, folder) && !exists(folder, "config.json")) {
        good = true; /* only the checkpoint was kept */
    } else {
        good = fail(f, 2, "--out: %s/%s is there, of another run: take another folder%s%s", folder,
                    file, there.count ? ", or go on with that run: --resume " : "",
                    there.count ? shell_word(folder, word) : "");
    }
    free_settings(&there);
    if (good && !is_directory(resume) && !in_folder(resume, folder) &&
        exists(folder, "last.mlsck")) {
        return fail(f, 2,
                    "--out: %s/last.mlsck is there: --resume that one, or take another folder",
                    folder);
    }
    return good;
}

/* Drops what comes after an epoch, and a line that a crash cut off. */
static bool trim_log(const char *path, int64_t epoch, failure *f)
{
    char text[PATH_SIZE + 256], head[64];
    void *bytes;
    size_t size, kept = 0;
    long long number;
    if (!is_file(path)) return true;
    if (mls_file_load(path, &bytes, &size, text, sizeof text) != MLS_OK)
        return fail(f, 2, "%s", text);
    while (kept < size) {
        const char *line = (const char *)bytes + kept;
        size_t length = 1;
        while (kept + length < size && line[length - 1] != '\n') length++;
        if (line[length - 1] != '\n') break;
        snprintf(head, sizeof head, "%.*s", (int)(length < 60 ? length : 60), line);
        if (sscanf(head, "{\"epoch\":%lld", &number) == 1 && number > epoch) break;
        kept += length;
    }
    bool good = mls_file_save(path, bytes, kept, text, sizeof text) == MLS_OK;
    mls_file_free(bytes);
    return good || fail(f, 2, "%s", text);
}

static bool write_config(const job *j, const options *o, const char *folder, failure *f)
{
    char path[PATH_SIZE + 16], text[PATH_SIZE + 256];
    settings s = {0};
    describe(j, o, &s);
    char *json = write_settings(&s, true);
    free_settings(&s);
    if (!json) return fail(f, 1, "no memory for %s/config.json", folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    bool good = mls_file_save(path, json, strlen(json), text, sizeof text) == MLS_OK;
    free(json);
    return good || fail(f, 2, "%s", text);
}

static bool open_log(run *r, failure *f)
{
    char path[PATH_SIZE + 16];
    bool resumed = r->job->o.resume != NULL;
    snprintf(path, sizeof path, "%s/log.jsonl", r->folder);
    options o = one_run(r->job, r->spec, r->seed);
    if (!write_config(r->job, &o, r->folder, f) || (resumed && !trim_log(path, r->at.epoch, f)))
        return false;
    r->log = fopen(path, resumed ? "a" : "w");
    return r->log || fail(f, 2, "%s: %s", path, strerror(errno));
}

/* Takes what was not given from the file; what was given must be as it is there. */
static bool adopt(options *o, const settings *from, const char *name, int use, failure *f)
{
    bool whole = get(from, "program"); /* before, not every option was kept */
    options file;
    failure why;
    default_options(&file);
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *row = &option_table[i];
        const char *there = row->key ? get(from, row->key) : NULL;
        char room[32], other[32];
        if (!row->key) continue;
        if (there && row->kind == FLAG)
            memcpy((char *)&file + row->at, &(bool){true}, sizeof(bool));
        if (there && row->kind != FLAG && !set_option(&file, row, there, &why)) {
            return fail(f, 2, "%s: %s", name, why.text);
        }
        if (!given(o, row)) {
            copy_option(o, &file, row);
        } else if (row->same & use && (there || whole)) {
            const char *a = option_text(o, row, room), *b = option_text(&file, row, other);
            if (same_value(row, a, b) || grows(row, use, b, a)) continue;
            if (!b) return fail(f, 2, "%s: was made without %s", name, row->name);
            return fail(f, 2, "%s: was made with %s %s, not %s", name, row->name, b, a ? a : "");
        }
    }
    return true;
}

/* A folder says in its config.json what runs are in it. */
static bool open_folder(job *j, failure *f)
{
    options *o = &j->o;
    char word[PATH_SIZE + 8];
    size_t length = strlen(o->resume);
    if (length >= PATH_SIZE - 64) return fail(f, 2, "--resume: the name is too long");
    while (length > 1 && o->resume[length - 1] == '/') length--;
    snprintf(j->out, sizeof j->out, "%.*s", (int)length, o->resume);
    snprintf(j->from_name, sizeof j->from_name, "%.*s/config.json", PATH_SIZE - 64, j->out);
    if (o->out && !same_directory(o->out, j->out)) {
        return fail(f, 2, "--resume %s goes on there, not in --out %s", o->resume, o->out);
    }
    o->out = j->out;
    if (!read_config(j->out, &j->from, f)) return false;
    if (j->from.count) return adopt(o, &j->from, j->from_name, RESUME | GROWS, f);
    bool has_config = exists(j->out, "config.json"), has_last = exists(j->out, "last.mlsck");
    const char *what = has_config ? "config.json is damaged or of another program"
                       : has_last ? "there is no config.json"
                                  : "there is no run";
    if (!has_last) return fail(f, 2, "--resume: %s in %s", what, j->out);
    return fail(f, 2, "--resume: %s in %s; try --resume %s/last.mlsck", what, j->out,
                shell_word(j->out, word));
}

/* What --resume or mls test is given says about itself, before anything else is done. */
static bool open_source(job *j, failure *f)
{
    options *o = &j->o;
    const char *path = o->checkpoint ? o->checkpoint : o->resume;
    void *bytes;
    size_t size;
    if (!path) return true;
    if (o->resume && is_directory(path)) return open_folder(j, f);
    if (o->resume && (o->seeds > 1 || o->beside || o->formats)) {
        return fail(f, 2,
                    "--resume %s: a file is one run; to have several, resume the folder "
                    "around all of them",
                    path);
    }
    if (!load_file(path, &bytes, &size, &j->content, &j->from, f)) return false;
    mls_file_free(bytes);
    snprintf(j->from_name, sizeof j->from_name, "%s", path);
    if (!adopt(o, &j->from, path, o->checkpoint ? EVAL : RESUME | GROWS, f)) return false;
    if (o->checkpoint || o->out) return true;
    /* A run goes on where it was, if that is to be seen. */
    const char *slash = strrchr(path, '/');
    settings config = {0};
    snprintf(j->out, sizeof j->out, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (slash == path) snprintf(j->out, sizeof j->out, "/");
    if (!read_config(j->out, &config, f)) return false;
    if (config.count) o->out = j->out;
    free_settings(&config);
    return true;
}

static const char *class_there(const job *j, int i)
{
    char key[24];
    snprintf(key, sizeof key, "class_%d", i);
    return get(&j->from, key);
}

static const char *class_here(const job *j, int i)
{
    return i < j->test.classes ? j->test.names[i] : NULL;
}

typedef const char *class_name(const job *j, int i);

/* The first class of one side that the other does not have; null: it has all. */
static const char *unknown_class(const job *j, class_name *side, class_name *other)
{
    for (int i = 0; side(j, i); i++) {
        int k = 0;
        while (other(j, k) && strcmp(other(j, k), side(j, i)) != 0) k++;
        if (!other(j, k)) return side(j, i);
    }
    return NULL;
}

/* The names of the classes, and their order, belong to a checkpoint. Before they were kept, it was
   only their number. */
static bool check_classes(const job *j, failure *f)
{
    const char *count = get(&j->from, "classes"), *from = j->from_name, *data = j->o.data;
    const char *theirs, *ours;
    int i = 0;
    if (!class_there(j, 0)) {
        if (!count || atoi(count) == j->test.classes) return true;
        return fail(f, 2, "%s: has %s classes, --data %s has %d", from, count, data,
                    (int)j->test.classes);
    }
    while (class_there(j, i) && class_here(j, i) &&
           strcmp(class_there(j, i), class_here(j, i)) == 0)
        i++;
    if (!class_there(j, i) && !class_here(j, i)) return true;
    theirs = unknown_class(j, class_there, class_here);
    ours = unknown_class(j, class_here, class_there);
    if (theirs && ours) {
        return fail(f, 2, "%s: has a class '%s', --data %s has '%s' instead", from, theirs, data,
                    ours);
    }
    if (theirs) return fail(f, 2, "%s: has a class '%s', --data %s has none", from, theirs, data);
    if (ours) return fail(f, 2, "%s: has no class '%s', --data %s has one", from, ours, data);
    return fail(f, 2, "%s: has other classes than --data %s, or in another order", from, data);
}

#endif /* PROGRAM_FOLDER_H_INCLUDED */
