/* progress.h - how a training goes: on a screen, for each epoch, in the log, and warnings */
#ifndef PROGRAM_PROGRESS_H_INCLUDED
#define PROGRAM_PROGRESS_H_INCLUDED

#include "run.h"

static double percent(int64_t part, int64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Which epoch the validation pictures chose, and how many of a hundred are right there, for programs. */
static void print_best(double epoch, double validation, double test)
{
    printf("best_by=validation best_epoch=%g best_validation_accuracy=%.2f best_test_accuracy=%.2f",
           epoch, validation, test);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void add_time_left(parts *l, const run *r)
{
    const progress *p = &r->at;
    double speed = ratio((double)r->trained, r->seconds);
    int64_t pictures = (r->job->o.epochs - p->epoch) * r->job->train.count - p->images;
    int64_t left = (int64_t)ratio((double)pictures, speed);
    if (pictures == 0) return;
    add_part(l, "%lld:%02lld:%02lld left", (long long)left / 3600, (long long)left / 60 % 60,
             (long long)left % 60);
}

/* On a screen, one line that changes ten times a second. */
static void show_progress(run *r)
{
    const progress *p = &r->at;
    parts l = new_line(columns(stderr) - 1); /* some terminals wrap a full line */
    if (!is_screen(stderr) || now() - r->shown < 0.1) return;
    r->shown = now();
    add_part(&l, "epoch %lld/%lld (%.0f%%)", (long long)p->epoch + 1, (long long)r->job->o.epochs,
             floor(percent(p->batch, r->batches)));
    add_time_left(&l, r);
    add_part(&l, "loss %.3f", ratio(p->loss, (double)p->images));
    add_part(&l, "right %.1f%%", percent(p->correct, p->images));
    add_part(&l, "%.0f images/s", ratio((double)r->trained, r->seconds));
    fprintf(stderr, "\r\033[K%s", l.text);
}

static void clear_progress(void)
{
    if (is_screen(stderr)) fprintf(stderr, "\r\033[K");
}

/* What an epoch ended with; losses are means over pictures, accuracies in percent. */
typedef struct figures {
    double rate, loss, accuracy, test_loss, test_accuracy, speed;
    double validation_loss, validation_accuracy; /* where there are such pictures */
    uint64_t digest;
} figures;

/* One line for people; the log has every figure in full. */
static void show_epoch(const run *r, const figures *e)
{
    parts l = new_line(columns(stdout));
    add_part(&l, "epoch %lld/%lld", (long long)r->at.epoch, (long long)r->job->o.epochs);
    add_part(&l, "loss %.3f", e->loss);
    add_part(&l, "train %.2f%%", e->accuracy);
    if (r->job->validation.count) add_part(&l, "validation %.2f%%", e->validation_accuracy);
    add_part(&l, "test %.2f%%", e->test_accuracy);
    add_time_left(&l, r);
    add_part(&l, "%.0f images/s", e->speed);
    clear_progress();
    puts(l.text);
    fflush(stdout);
}

static bool log_epoch(const run *r, const figures *e, failure *f)
{
    if (!r->folder[0]) return true;
    fprintf(r->log,
            "{\"epoch\":%lld,\"rate\":%g,\"train_loss\":%.9g,\"train_accuracy\":%.4f,"
            "\"test_accuracy\":%.4f,\"test_loss\":%.9g,\"images_per_second\":%.1f,",
            (long long)r->at.epoch, e->rate, e->loss, e->accuracy, e->test_accuracy, e->test_loss,
            e->speed);
    if (r->job->validation.count) {
        fprintf(r->log, "\"validation_accuracy\":%.4f,\"validation_loss\":%.9g,",
                e->validation_accuracy, e->validation_loss);
    }
    fprintf(r->log, "\"digest\":\"%016llx\"}\n", (unsigned long long)e->digest);
    return flush_to_disk(r->log) || fail(f, 2, "%s/log.jsonl: %s", r->folder, strerror(errno));
}

/* The share of pictures, in percent, that always answering the most frequent class gets right. */
static double guessing(const mls_data *data)
{
    int64_t count[256] = {0}, most = 0;
    for (int32_t i = 0; i < data->count; i++) {
        int64_t n = ++count[data->labels[i]];
        if (n > most) most = n;
    }
    return percent(most, data->count);
}

/* Within two standard deviations of guessing, where there are enough pictures to tell. */
static bool as_by_guessing(const mls_data *data, int64_t correct, int64_t images)
{
    double p = guessing(data) / 100, n = (double)images, most = n * p + 2 * sqrt(n * p * (1 - p));
    return most < n && (double)correct <= most;
}

/* What guessing has: the logarithm of the number of classes. */
static double guessing_loss(const run *r)
{
    return log((double)r->job->test.classes);
}

/* As early as it can be told, and once: training that gets worse than guessing will not come back.
   times: how far above guessing the loss has to be. */
static void warn_early(run *r, double loss, int64_t correct, int64_t images, double times)
{
    const job *j = r->job;
    if (r->warned || loss < times * guessing_loss(r) || !as_by_guessing(&j->train, correct, images))
        return;
    r->warned = true;
    clear_progress();
    say(stderr,
        "warning: in epoch %lld the loss is %.4g, far above the %.2f of guessing, and %.2f %% of "
        "the pictures are right, as by guessing. This looks like a learning rate that is too high "
        "(--lr %g).",
        (long long)r->at.epoch + 1, loss, guessing_loss(r), percent(correct, images), j->o.rate);
}

/* Which epoch was best, and by which pictures. */
static void show_best(const run *r)
{
    const job *j = r->job;
    const progress *p = &r->at;
    const char *file = r->folder[0] ? " (best.mlsck)" : "";
    if (p->epoch < j->o.epochs) {
        say(stdout, "stopped early: epoch %lld was the best, %lld were no better.",
            (long long)p->best_epoch, (long long)(p->epoch - p->best_epoch));
    }
    if (!j->validation.count) return;
    say(stdout,
        "best by validation: epoch %lld%s, with %.2f %% of %d validation pictures and %.2f %% of "
        "%d test pictures right. The result below is of the last epoch.",
        (long long)p->best_epoch, file, percent(p->best, j->validation.count),
        (int)j->validation.count, percent(p->best_correct, j->test.count), (int)j->test.count);
}

/* What a finished run looks like, if it learnt nothing. */
static void warn_late(const run *r)
{
    const job *j = r->job;
    const progress *p = &r->at;
    double accuracy = percent(p->last_correct, j->test.count);
    if (!as_by_guessing(&j->test, p->last_correct, j->test.count)) return;
    if (p->last_loss > 1.5 * guessing_loss(r)) {
        say(stderr,
            "warning: training ended at a loss of %.4g, far above the %.2f of guessing, with "
            "%.2f %% of the test pictures right, as by guessing. This looks like a learning rate "
            "that is too high (--lr %g).",
            p->last_loss, guessing_loss(r), accuracy, j->o.rate);
    } else if (p->last_loss < 0.8 * guessing_loss(r)) {
        say(stderr,
            "warning: %.2f %% of the test pictures are right, which is no more than guessing gets "
            "(%.2f %%), although the training pictures were learnt (loss %.4g). This looks like "
            "test pictures or labels of another kind, or too few pictures.",
            accuracy, guessing(&j->test), p->last_loss);
    } else {
        say(stderr,
            "warning: training ended with %.2f %% of the test pictures right, which is no more "
            "than guessing gets (%.2f %%). This looks like too few steps (%lld) or a learning rate "
            "that does not fit (--lr %g).",
            accuracy, guessing(&j->test), (long long)(j->o.epochs * r->batches), j->o.rate);
    }
}

#endif /* PROGRAM_PROGRESS_H_INCLUDED */
