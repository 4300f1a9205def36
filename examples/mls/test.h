/* test.h - mls test: a checkpoint on the test pictures */
#ifndef PROGRAM_TEST_H_INCLUDED
#define PROGRAM_TEST_H_INCLUDED

#include "train.h"

/* All test pictures, one by one as it were: a batch changes nothing. */
static bool test(const job *j, failure *f)
{
    run r;
    const options *o = &j->o;
    const char *spec = o->test_format ? o->test_format : o->format;
    char word[256];
    int64_t correct = 0;
    double loss;
    bool good = open_run(&r, j, spec, o->seed, f) && load_run(&r, o->checkpoint, EVAL, f);
    double start = now();
    if (good) announce(&r);
    if (good) good = test_net(&r, &j->test, &loss, &correct, NULL, NULL, f);
    if (good) {
        say(stdout, "%s: %s of width %d, trained in %s with seed %llu, %lld of %lld epochs",
            o->checkpoint, o->model, (int)o->width, o->format, (unsigned long long)o->seed,
            (long long)r.at.epoch, (long long)o->epochs);
        say(stdout, "tested in %s: %lld of the %d test pictures of %s are right, %.2f %%", spec,
            (long long)correct, (int)j->test.count, o->data, percent(correct, j->test.count));
        printf("result test_accuracy=%.2f test_loss=%.6f images_per_second=%.1f digest=%016llx "
               "format=%s seed=%llu\n",
               percent(correct, j->test.count), loss, ratio((double)j->test.count, now() - start),
               (unsigned long long)mls_net_digest(&r.net), one_word(spec, word, sizeof word),
               (unsigned long long)o->seed);
    }
    close_run(&r);
    return good;
}

#endif /* PROGRAM_TEST_H_INCLUDED */
