/* plot.h - the curves of several runs, drawn by gnuplot with plot.gp */
#ifndef PROGRAM_PLOT_H_INCLUDED
#define PROGRAM_PLOT_H_INCLUDED

#include "run.h"

/* Where plot.gp is, as the program is built beside it; and once both are installed. */
#ifndef MLS_PLOT_GP
#define MLS_PLOT_GP "examples/mls/plot.gp"
#endif
#ifndef MLS_PLOT_GP_INSTALLED
#define MLS_PLOT_GP_INSTALLED MLS_PLOT_GP
#endif

/* One run of several, and how it ended. */
typedef struct entry {
    const char *spec;
    double bits; /* of an element, mean over the roles */
    uint64_t seed;
    char name[32], folder[PATH_SIZE]; /* "" in DIR for a single run, else DIR/name */
    double accuracy, loss, speed;     /* speed 0: not known, nothing was trained here */
    double best_epoch, best_accuracy, best_validation; /* of pictures for the test and validation */
    uint64_t digest;
} entry;

/* What a line of log.jsonl says; NAN: nothing, as of a part that there is not. */
typedef struct point {
    long long epoch;
    double rate, loss[PARTS], right[PARTS];
} point;

/* The next line of a log; false: there is none that is whole. */
static bool next_point(FILE *log, point *p)
{
    char line[512];
    for (int i = 0; i < PARTS; i++) p->loss[i] = p->right[i] = NAN;
    return fgets(line, sizeof line, log) && strchr(line, '\n') &&
           sscanf(line,
                  "{\"epoch\":%lld,\"rate\":%lg,\"train_loss\":%lg,\"train_accuracy\":%lg,"
                  "\"test_accuracy\":%lg,\"test_loss\":%lg,\"images_per_second\":%*g,"
                  "\"validation_accuracy\":%lg,\"validation_loss\":%lg",
                  &p->epoch, &p->rate, &p->loss[TRAIN_PART], &p->right[TRAIN_PART],
                  &p->right[TEST_PART], &p->loss[TEST_PART], &p->right[VALIDATION_PART],
                  &p->loss[VALIDATION_PART]) >= 5;
}

static FILE *open_a_log(const entry *e)
{
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/log.jsonl", e->folder);
    return fopen(path, "r");
}

/* A block of curves.dat for each seed of a format, and one with means, least and largest of them. */
static void write_curves(FILE *to, const entry *e, int64_t seeds, int64_t epochs)
{
    point *sum = calloc((size_t)epochs, sizeof *sum), *low = calloc((size_t)epochs, sizeof *low);
    point *high = calloc((size_t)epochs, sizeof *high), p;
    for (int64_t i = 0; i < seeds; i++) {
        FILE *log = open_a_log(&e[i]);
        fprintf(to, "\"%s seed %llu\"\n", e[i].spec, (unsigned long long)e[i].seed);
        while (log && sum && low && high && next_point(log, &p)) {
            fprintf(to, "%lld %g %g %g\n", p.epoch, p.loss[TRAIN_PART], p.right[TRAIN_PART],
                    p.right[TEST_PART]);
            if (p.epoch < 1 || p.epoch > epochs) continue;
            point *s = &sum[p.epoch - 1], *l = &low[p.epoch - 1], *h = &high[p.epoch - 1];
            if (s->epoch++ == 0) *l = *h = p;
            for (int k = 0; k < PARTS; k++) {
                s->loss[k] += p.loss[k], s->right[k] += p.right[k];
                l->loss[k] = fmin(l->loss[k], p.loss[k]);
                h->loss[k] = fmax(h->loss[k], p.loss[k]);
                l->right[k] = fmin(l->right[k], p.right[k]);
                h->right[k] = fmax(h->right[k], p.right[k]);
            }
        }
        fprintf(to, "\n\n");
        if (log) fclose(log);
    }
    fprintf(to, "\"%s\"\n", e->spec);
    for (int64_t i = 0; sum && low && high && i < epochs; i++) {
        double n = (double)sum[i].epoch;
        if (sum[i].epoch < seeds) continue; /* not in all of them */
        fprintf(to, "%lld %g %g %g %g %g %g %g\n", (long long)i + 1, sum[i].loss[TRAIN_PART] / n,
                sum[i].right[TRAIN_PART] / n, sum[i].right[TEST_PART] / n, low[i].loss[TRAIN_PART],
                high[i].loss[TRAIN_PART], low[i].right[TEST_PART], high[i].right[TEST_PART]);
    }
    fprintf(to, "\n\n");
    free(sum), free(low), free(high);
}

/* plot.gp in a run's folder: what is to be drawn, and then the script. */
static bool write_script(const job *j, const char *path)
{
    void *script;
    size_t size;
    if (mls_file_load(MLS_PLOT_GP, &script, &size, NULL, 0) != MLS_OK &&
        mls_file_load(MLS_PLOT_GP_INSTALLED, &script, &size, NULL, 0) != MLS_OK) {
        return false;
    }
    FILE *file = fopen(path, "wb");
    if (file) {
        fprintf(file, "formats = %d\nseeds = %d\nepochs = %d\nwhat = \"%s of width %d, %s\"\n",
                j->formats.count, (int)j->o.seeds, (int)j->o.epochs, j->o.model, (int)j->o.width,
                is_built_in(&j->o) ? "built-in pictures" : "pictures");
        fwrite(script, 1, size, file);
    }
    mls_file_free(script);
    return file && fclose(file) == 0;
}

/* Writes curves.dat and plot.gp, and plot.png where gnuplot is installed. A plot is no reason to fail. */
static void plot(const job *j, const entry *e)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/curves.dat", j->o.out);
    FILE *file = fopen(path, "w");
    for (int i = 0; file && i < j->formats.count; i++) {
        write_curves(file, e + i * j->o.seeds, j->o.seeds, j->o.epochs);
    }
    if (!file || fclose(file) != 0) {
        say(stderr, "no plot: %s: %s", path, strerror(errno));
        return;
    }
    snprintf(path, sizeof path, "%s/plot.gp", j->o.out);
    if (!write_script(j, path)) {
        say(stderr, "no plot, only curves.dat: cannot copy %s to %s", MLS_PLOT_GP, path);
        return;
    }
    int status = run_gnuplot(j->o.out);
    if (status == 0) return;
    say(stderr, "no plot.png, only %s: %s", path,
        status == 127 ? "gnuplot is not installed" : "gnuplot failed");
}

#endif /* PROGRAM_PLOT_H_INCLUDED */
