/* train.h - training and test of one run */
#ifndef PROGRAM_TRAIN_H_INCLUDED
#define PROGRAM_TRAIN_H_INCLUDED

#include "checkpoint.h"
#include "progress.h"

/* Between steps: the checkpoint holds the batch, too. */
static bool interrupted(run *r, failure *f)
{
    const progress *p = &r->at;
    char word[PATH_SIZE + 8];
    if (!r->folder[0]) return fail(f, 1, "interrupted; without --out nothing is kept");
    if (!save_run(r, "last.mlsck", f)) return false;
    return fail(f, 1, "interrupted in epoch %lld after batch %lld of %lld; go on with --resume %s",
                (long long)p->epoch + 1, (long long)p->batch, (long long)r->batches,
                shell_word(r->job->o.out, word));
}

/* Numbers that are not finite after steps that went well are the rate's doing. */
static bool stopped(const run *r, const char *when, mls_status status, failure *f)
{
    const progress *p = &r->at;
    char rate[64] = "";
    if ((status == MLS_OK || status == MLS_ERROR_NONFINITE) && p->epoch + p->batch > 0) {
        snprintf(rate, sizeof rate, "; the learning rate looks too high (--lr %g)", r->job->o.rate);
    }
    return fail(f, 1, "stopped %s epoch %lld, after batch %lld of %lld: %s%s", when,
                (long long)p->epoch + 1, (long long)p->batch, (long long)r->batches,
                status == MLS_OK ? "the loss is not finite" : r->net.text, rate);
}

/* The numbers of the next step. */
static mls_sgd next_step(const run *r)
{
    const options *o = &r->job->o;
    const progress *p = &r->at;
    mls_sgd sgd = {0, 0.9f, is_adamw(o) ? 0.01f : 5e-4f, 0};
    sgd.rate = mls_schedule_rate(&r->schedule, p->epoch * r->batches + p->batch);
    if (o->decay >= 0) sgd.decay = (float)o->decay;
    return sgd;
}

static bool train_batch(run *r, failure *f)
{
    const job *j = r->job;
    progress *p = &r->at;
    int64_t first = p->batch * j->o.batch, left = j->train.count - first;
    int32_t count = (int32_t)(left < j->o.batch ? left : j->o.batch);
    const mls_sgd sgd = next_step(r);
    mls_result result;
    double start = now();
    mls_status status = mls_data_batch(&j->train, &j->augment, r->seed, p->epoch, first, count,
                                       r->images, r->labels);
    if (status != MLS_OK) return fail(f, 1, "batch: %s", mls_status_string(status));
    status = mls_net_step(&r->net, r->images, r->labels, count, &sgd, &result);
    if (status != MLS_OK || !is_finite(result.loss)) return stopped(r, "in", status, f);
    r->seconds += now() - start, r->trained += count;
    p->loss += result.loss * count, p->correct += result.correct, p->images += count, p->batch++;
    if (p->batch > 9) warn_early(r, p->loss / (double)p->images, p->correct, p->images, 3);
    return true;
}

/* Hears of each batch of pictures: the first one's number, and how many there are. The labels are those
   of the run, the logits those of its network. */
typedef void hear_batch(void *user, const run *r, int64_t first, int32_t count);

/* The mean loss of pictures, and how many are right. hear may be null. */
static bool test_net(run *r, const mls_data *test, double *loss, int64_t *correct, hear_batch *hear,
                     void *user, failure *f)
{
    mls_augment plain = {0};
    for (int c = 0; c < CHANNELS; c++) {
        plain.mean[c] = (float)r->at.mean[c], plain.scale[c] = (float)r->at.scale[c];
    }
    *correct = 0, *loss = 0;
    if (r->job->o.ema > 0) mls_net_use_average(&r->net, 1); /* training does not mind */
    for (int64_t first = 0; first < test->count; first += r->job->o.batch) {
        int64_t left = test->count - first;
        int32_t count = (int32_t)(left < r->job->o.batch ? left : r->job->o.batch);
        mls_result result;
        if (stop_requested) return interrupted(r, f);
        mls_status status = mls_data_batch(test, &plain, 0, 0, first, count, r->images, r->labels);
        if (status != MLS_OK) return fail(f, 1, "test: %s", mls_status_string(status));
        status = mls_net_evaluate(&r->net, r->images, r->labels, count, &result);
        if (status != MLS_OK && r->job->o.checkpoint)
            return fail(f, 1, "the test: %s", r->net.text);
        if (status != MLS_OK) return stopped(r, "in the test of", status, f);
        *correct += result.correct, *loss += result.loss * count;
        if (hear) hear(user, r, first, count);
    }
    *loss = is_finite(*loss) ? *loss / (double)test->count : DBL_MAX; /* a number in the log */
    return true;
}

/* All epochs are done, or too many since the best one. */
static bool is_over(const run *r)
{
    const options *o = &r->job->o;
    return r->at.epoch >= o->epochs ||
           (o->patience && r->at.epoch - r->at.best_epoch >= o->patience);
}

/* The log comes before the checkpoint: a crash between them leaves a line too many, which
   resuming drops, and never one too few. */
static bool finish_epoch(run *r, double speed, failure *f)
{
    const options *o = &r->job->o;
    progress *p = &r->at;
    figures e = {.speed = speed};
    const mls_data *test = &r->job->test, *validation = &r->job->validation;
    int64_t correct, judged;
    if (!test_net(r, test, &e.test_loss, &correct, NULL, NULL, f)) return false;
    judged = correct;
    if (validation->count && !test_net(r, validation, &e.validation_loss, &judged, NULL, NULL, f))
        return false;
    e.validation_accuracy = percent(judged, validation->count);
    e.rate = (double)mls_schedule_rate(&r->schedule, p->epoch * r->batches);
    e.loss = p->loss / (double)p->images, e.accuracy = percent(p->correct, p->images);
    e.test_accuracy = percent(correct, test->count);
    e.digest = mls_net_digest(&r->net);
    warn_early(r, e.loss, p->correct, p->images, 1.5);
    bool best = judged > p->best || p->epoch == 0;
    p->epoch++, p->batch = 0, p->loss = 0, p->correct = 0, p->images = 0;
    p->last_loss = e.loss, p->last_correct = correct;
    if (best) p->best = judged, p->best_correct = correct, p->best_epoch = p->epoch;
    show_epoch(r, &e);
    if (!log_epoch(r, &e, f)) return false;
    if (!r->folder[0]) return true;
    if (best && !save_run(r, "best.mlsck", f)) return false;
    if (p->epoch % o->every != 0 && !is_over(r)) return true;
    return save_run(r, "last.mlsck", f);
}

static bool train_run(run *r, failure *f)
{
    while (!is_over(r)) {
        double seconds = r->seconds;
        int64_t trained = r->trained;
        while (r->at.batch < r->batches) {
            if (stop_requested) return interrupted(r, f);
            if (!train_batch(r, f)) return false;
            show_progress(r);
        }
        double speed = ratio((double)(r->trained - trained), r->seconds - seconds);
        if (!finish_epoch(r, speed, f)) return false;
    }
    return true;
}

#endif /* PROGRAM_TRAIN_H_INCLUDED */
