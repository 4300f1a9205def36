/* sweep.h - several runs: formats and seeds, a table, a plot */
#ifndef PROGRAM_SWEEP_H_INCLUDED
#define PROGRAM_SWEEP_H_INCLUDED

#include "folder.h"
#include "init.h"
#include "plot.h"
#include "train.h"

/* Bits of an element of W, A and E, in the mean. */
static double bits_of(const char *spec)
{
    mls_formats f;
    mls_formats_parse(&f, spec, NULL, 0);
    const mls_format roles[] = {f.weight, f.activation, f.error};
    double bits = 0;
    for (int i = 0; i < 3; i++) {
        bits += is_low(roles[i]) ? (double)mls_format_bits(roles[i]) : 32;
    }
    return bits / 3;
}

static int64_t entries_of(const job *j)
{
    return j->o.seeds * j->formats.count;
}

/* All seeds of the first format, then those of the second ... */
static void name_entry(entry *e, const job *j, int64_t i)
{
    const options *o = &j->o;
    int format = (int)(i / o->seeds);
    unsigned long long seed = o->seed + (uint64_t)(i % o->seeds);
    e->spec = j->formats.of[format], e->seed = seed, e->bits = bits_of(e->spec);
    if (o->formats) {
        snprintf(e->name, sizeof e->name, "format%d-seed%llu", format + 1, seed);
    } else {
        snprintf(e->name, sizeof e->name, "%sseed%llu", format ? "beside-" : "", seed);
    }
    if (!o->out) return;
    if (entries_of(j) == 1) snprintf(e->folder, PATH_SIZE, "%s", o->out);
    if (entries_of(j) > 1) snprintf(e->folder, PATH_SIZE, "%s/%s", o->out, e->name);
}

/* Where the run was, if it goes on. */
static bool load_entry(run *r, failure *f)
{
    const char *resume = r->job->o.resume;
    char path[PATH_SIZE + 16], last[PATH_SIZE + 16];
    if (!resume) return first_weights(r, f);
    snprintf(path, sizeof path, "%s", resume);
    if (is_directory(resume) && !newest_checkpoint(r->folder, path, f)) return false;
    if (path[0] ? !load_run(r, path, RESUME | GROWS, f) : !first_weights(r, f)) return false;
    if (!r->folder[0]) return true;
    if (!open_log(r, f)) return false;
    snprintf(last, sizeof last, "%s/last.mlsck", r->folder);
    return !path[0] || strcmp(path, last) == 0 || save_run(r, "last.mlsck", f);
}

static bool run_entry(const job *j, entry *e, failure *f)
{
    run r;
    bool good = open_run(&r, j, e->spec, e->seed, f);
    memcpy(r.folder, e->folder, sizeof r.folder);
    good = good && load_entry(&r, f) && (!r.folder[0] || r.log || open_log(&r, f));
    if (good) announce(&r);
    if (good && j->o.resume && !r.folder[0]) say(stderr, "nothing is kept: --out says where");
    good = good && train_run(&r, f);
    if (good) {
        warn_late(&r);
        show_best(&r);
        e->accuracy = percent(r.at.last_correct, j->test.count), e->loss = r.at.last_loss;
        e->speed = ratio((double)r.trained, r.seconds), e->digest = mls_net_digest(&r.net);
        e->best_epoch = (double)r.at.best_epoch;
        e->best_accuracy = percent(r.at.best_correct, j->test.count);
        e->best_validation = percent(r.at.best, j->validation.count);
    }
    close_run(&r);
    return good;
}

/* The last line of the output, for programs. */
static void print_result(const job *j, const entry *e)
{
    char word[256];
    printf("result test_accuracy=%.2f train_loss=%.6f images_per_second=%.1f digest=%016llx "
           "format=%s seed=%llu",
           e->accuracy, e->loss, e->speed, (unsigned long long)e->digest,
           one_word(e->spec, word, sizeof word), (unsigned long long)e->seed);
    if (j->validation.count) {
        printf(" ");
        print_best(e->best_epoch, e->best_validation, e->best_accuracy);
    }
    printf("\n");
    fflush(stdout);
}

/* Means over the seeds of one format, printed as a row of the table. */
static entry print_row(const entry *e, int64_t seeds, bool validated)
{
    const int room = validated ? 12 : 32; /* for the format in a line of 80 columns */
    entry mean = e[0];
    double n = (double)seeds, timed = e->speed > 0, squares = 0;
    char deviation[32] = "-";
    for (int64_t i = 1; i < seeds; i++) {
        mean.accuracy += e[i].accuracy, mean.loss += e[i].loss, mean.speed += e[i].speed;
        mean.best_epoch += e[i].best_epoch, mean.best_accuracy += e[i].best_accuracy;
        mean.best_validation += e[i].best_validation;
        mean.digest = mls_seed(mean.digest, e[i].digest);
        timed += e[i].speed > 0;
    }
    mean.accuracy /= n, mean.loss /= n, mean.speed = ratio(mean.speed, timed);
    mean.best_epoch /= n, mean.best_accuracy /= n, mean.best_validation /= n;
    for (int64_t i = 0; i < seeds; i++) {
        squares += (e[i].accuracy - mean.accuracy) * (e[i].accuracy - mean.accuracy);
    }
    if (seeds > 1) snprintf(deviation, sizeof deviation, "%.2f", sqrt(squares / (n - 1)));
    if ((int)strlen(e->spec) > room) printf("%s\n", e->spec);
    printf("%5lld %8.2f %9s %7.4f ", (long long)seeds, mean.accuracy, deviation, mean.loss);
    if (validated) printf("%10.2f %8.2f ", mean.best_validation, mean.best_accuracy);
    printf("%4.3g %8.1f  %s\n", mean.bits, mean.speed, (int)strlen(e->spec) > room ? "" : e->spec);
    return mean;
}

static const char *integers(const char *spec)
{
    return strcmp(spec, "fp32") == 0 ? "" : " integers";
}

/* What the table says, in a sentence. */
static void compare_formats(const entry *a, const entry *b, int64_t seeds)
{
    char level[128], speed[128] = "", mean[64] = "";
    double points = a->accuracy - b->accuracy, times = ratio(a->speed, b->speed);
    if (fabs(points) < 0.05) {
        snprintf(level, sizeof level, "level with");
    } else {
        snprintf(level, sizeof level, "%.1f points %s", fabs(points),
                 points < 0 ? "below" : "above");
    }
    if (times >= 1) {
        snprintf(speed, sizeof speed, " and trained %.1f times as fast", times);
    } else if (times > 0) {
        snprintf(speed, sizeof speed, " and took %.1f times as long", 1 / times);
    }
    if (seeds > 1) {
        snprintf(mean, sizeof mean, ", in the mean of %lld seeds", (long long)seeds);
    }
    say(stdout, "%s%s ended %s %s%s%s%s.", a->spec, integers(a->spec), level, b->spec,
        integers(b->spec), speed, mean);
}

/* The table of all runs, and what it says in words; the result is about the first format. */
static entry print_table(const job *j, const entry *entries)
{
    const int64_t seeds = j->o.seeds;
    const bool validated = j->validation.count > 0;
    entry mean[SPECS];
    printf("\n%5s %8s %9s %7s%s %4s %8s  %s\n", "seeds", "accuracy", "deviation", "loss",
           validated ? " validation and test" : "", "bits", "images/s", "format");
    for (int i = 0; i < j->formats.count; i++) {
        mean[i] = print_row(entries + i * seeds, seeds, validated);
    }
    printf("\n");
    if (validated) {
        say(stdout, "accuracy is of the test pictures after the last epoch; validation and test "
                    "are of the epoch that the validation pictures chose (best.mlsck).\n");
    }
    for (int i = 1; i < j->formats.count; i++) compare_formats(&mean[0], &mean[i], seeds);
    if (j->formats.count > 1) printf("\n");
    return mean[0];
}

/* DIR/runs.csv: a line for each run. */
static bool write_csv(const job *j, const entry *entries, failure *f)
{
    char path[PATH_SIZE + 16], line[MLS_FORMATS_TEXT + 256], speed[32], validation[32] = "";
    growing t = {0};
    const char *head =
        "format,seed,folder,test_accuracy,train_loss,bits,images_per_second,digest,best_epoch,"
        "best_test_accuracy,best_validation_accuracy\n";
    append(&t, head, strlen(head));
    for (int64_t i = 0; i < entries_of(j); i++) {
        const entry *e = &entries[i];
        snprintf(speed, sizeof speed, "%.1f", e->speed);
        if (j->validation.count)
            snprintf(validation, sizeof validation, "%.4f", e->best_validation);
        snprintf(line, sizeof line, "\"%s\",%llu,%s,%.4f,%.9g,%.4g,%s,%016llx,%g,%.4f,%s\n",
                 e->spec, (unsigned long long)e->seed, entries_of(j) > 1 ? e->name : ".",
                 e->accuracy, e->loss, e->bits, e->speed > 0 ? speed : "",
                 (unsigned long long)e->digest, e->best_epoch, e->best_accuracy, validation);
        append(&t, line, strlen(line));
    }
    snprintf(path, sizeof path, "%s/runs.csv", j->o.out);
    return save_growing(&t, path, f);
}

/* Takes the folders of all runs, and the one around them, before the first begins. */
static bool claim_folders(const job *j, const entry *entries, int64_t count, failure *f)
{
    options all = j->o;
    if (!all.out) return true;
    if (count > 1 && !claim_folder(j, &all, all.out, f)) return false;
    for (int64_t i = 0; i < count; i++) {
        options o = one_run(j, entries[i].spec, entries[i].seed);
        if (!claim_folder(j, &o, entries[i].folder, f)) return false;
    }
    return count == 1 || write_config(j, &all, all.out, f);
}

/* Every format with all seeds. */
static bool train(const job *j, failure *f)
{
    const options *o = &j->o;
    int64_t count = entries_of(j);
    entry *entries = calloc((size_t)count, sizeof *entries);
    if (!entries) return fail(f, 1, "no memory for %lld runs", (long long)count);
    for (int64_t i = 0; i < count; i++) name_entry(&entries[i], j, i);
    bool good = claim_folders(j, entries, count, f);
    catch_signals();
    for (int64_t i = 0; good && i < count; i++) {
        entry *e = &entries[i];
        good = run_entry(j, e, f);
        if (!good || count == 1) continue;
        say(stdout, "seed %llu of %s: test %.2f%%, loss %.4f, digest %016llx",
            (unsigned long long)e->seed, e->spec, e->accuracy, e->loss,
            (unsigned long long)e->digest);
        fflush(stdout);
    }
    good = good && (!o->out || write_csv(j, entries, f));
    if (good && o->out) plot(j, entries);
    if (good) {
        entry result = count > 1 ? print_table(j, entries) : entries[0];
        print_result(j, &result);
    }
    free(entries);
    return good;
}

#endif /* PROGRAM_SWEEP_H_INCLUDED */
